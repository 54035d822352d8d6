"""What a machine needs for the stack, with Docker and without; the README's table is held to it by a test."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deposit.errors import ConfigError

GIB = 2**30
PYTHON = ((3, 11), (3, 13))
"""Oldest and newest."""
ENGINE, COMPOSE = "25", "2.24"
"""Oldest versions of Docker's engine and of its compose."""
SYSTEMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}
"""For which everything in the lock comes as a wheel."""

START_DISK = 2 * GIB
"""Free where the stack without Docker keeps its data, each time that it is started."""


@dataclass(frozen=True)
class Requirements:
    """Processors; memory and disk in GiB, the latter with images or environments."""

    processors: int
    memory: int
    disk: int


WITH_DOCKER = Requirements(processors=2, memory=6, disk=12)
WITHOUT_DOCKER = Requirements(processors=2, memory=4, disk=5)


@dataclass(frozen=True)
class Machine:
    """What this machine has; memory in bytes."""

    system: str
    processor: str
    processors: int
    memory: int

    @classmethod
    def this(cls) -> "Machine":
        """The one that this runs on; a container sees its host's."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(platform.system(), platform.machine(), os.cpu_count() or 1, memory)


@dataclass(frozen=True)
class Shortfall:
    """Something of which a machine has too little."""

    what: str
    present: float
    needed: float


def shortfalls(needed: Requirements, machine: Machine) -> Iterator[Shortfall]:
    """What the machine has too little of. A twentieth of the memory is the kernel's own, and does not count."""
    if machine.processors < needed.processors:
        yield Shortfall("processors", machine.processors, needed.processors)
    if machine.memory < 0.95 * needed.memory * GIB:
        yield Shortfall("GiB of memory", machine.memory / GIB, needed.memory)


def require_disk(folder: Path) -> int:
    """Bytes free where the stack keeps its data. Raises ConfigError if they are too few to start."""
    free = shutil.disk_usage(folder).free
    if free < START_DISK:
        raise ConfigError(
            f"no disk space: {free / 2**20:,.0f} MiB free at {folder}, {START_DISK / 2**20:,.0f} are needed; "
            "free some or set DEPOSIT_STATE_DIR"
        )
    return free
