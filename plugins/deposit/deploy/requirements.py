"""Requirements of the stack, with and without Docker; a test compares the README's table with them."""

import os
import platform
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deposit.errors import ConfigError

GIB = 2**30
PYTHON = ((3, 11), (3, 13))
"""Oldest and newest supported version."""
ENGINE, COMPOSE = "25", "2.24"
"""Oldest supported versions of Docker Engine and Docker Compose."""
SYSTEMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}
"""Platforms for which every locked package has a wheel."""

START_DISK = 2 * GIB
"""Free bytes that the disk with the stack's data needs at each start."""
TEMPORARY_DISK = GIB // 4
"""Free bytes that TMPDIR needs to be used: the stack's programs unpack their input there."""


@dataclass(frozen=True)
class Requirements:
    """Processors; memory and disk in GiB, the latter including images or virtual environments."""

    processors: int
    memory: int
    disk: int


WITH_DOCKER = Requirements(processors=2, memory=6, disk=12)
WITHOUT_DOCKER = Requirements(processors=2, memory=4, disk=5)


@dataclass(frozen=True)
class Machine:
    """The platform and resources of a machine; memory in bytes."""

    system: str
    processor: str
    processors: int
    memory: int

    @classmethod
    def this(cls) -> "Machine":
        """The machine that this process runs on; in a container, the host's resources."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(platform.system(), platform.machine(), os.cpu_count() or 1, memory)


@dataclass(frozen=True)
class Shortfall:
    """A resource of which a machine has too little."""

    what: str
    present: float
    needed: float


def shortfalls(needed: Requirements, machine: Machine) -> Iterator[Shortfall]:
    """Resources of which the machine has too little; 5 % of the memory is tolerated, which the kernel keeps."""
    if machine.processors < needed.processors:
        yield Shortfall("processors", machine.processors, needed.processors)
    if machine.memory < 0.95 * needed.memory * GIB:
        yield Shortfall("GiB of memory", machine.memory / GIB, needed.memory)


def disk_shortfall(folder: Path) -> Iterator[Shortfall]:
    """Yield the shortfall of free space on the disk of a folder, if it is too small to start a stack there."""
    free = shutil.disk_usage(folder).free
    if free < START_DISK:
        yield Shortfall("GiB of disk free", free / GIB, START_DISK / GIB)


def require_disk(folder: Path) -> int:
    """Bytes free where the stack keeps its data. Raises ConfigError if they are too few to start."""
    for lack in disk_shortfall(folder):
        raise ConfigError(
            f"no disk space: {lack.present * 1024:,.0f} MiB free at {folder}, {lack.needed * 1024:,.0f} are needed; "
            "free some or set DEPOSIT_STATE_DIR"
        )
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Limit:
    """A limit that processes inherit from the shell: its number in `resource`, its minimum, its option of `ulimit`."""

    what: str
    number: int
    minimum: int
    option: str


LIMITS = (
    Limit("open files", resource.RLIMIT_NOFILE, 1024, "n"),
    Limit("processes", resource.RLIMIT_NPROC, 512, "u"),
    Limit("bytes per file", resource.RLIMIT_FSIZE, 2 * GIB, "f"),
    Limit("bytes of memory per process", resource.RLIMIT_AS, 4 * GIB, "v"),
)


def require_limits() -> None:
    """Raise ConfigError naming each limit that would keep a program of the stack without Docker from running."""
    complaints = []
    for limit in LIMITS:
        soft, hard = resource.getrlimit(limit.number)
        # supervisor raises its soft limit up to the hard one; the soft limit of macOS is 256
        allowed = hard if limit.number == resource.RLIMIT_NOFILE else soft
        if allowed != resource.RLIM_INFINITY and allowed < limit.minimum:
            complaints.append(f"{allowed:,} {limit.what} (ulimit -{limit.option}), {limit.minimum:,} are needed")
    if complaints:
        raise ConfigError("this shell's limits are too low for the stack: raise those named above", complaints)
