"""Processes under measurement: pinned to given cores, measured from outside, stopped with all their children."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

STOP_SECONDS = 20


class Cores(NamedTuple):
    """Cores of the measured server, and cores of everything else: load generator, database, shipper."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> "Cores":
        """Reserve one core for the server; on a machine with a single core, all share it."""
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset([first]), frozenset(rest or [first]))


class Memory(NamedTuple):
    """Memory of a process and its children in MiB: resident (RSS), and proportional (PSS)."""

    rss: float
    pss: float


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], cores: frozenset[int], log: Path
) -> Iterator[psutil.Process]:
    """Run a process, with its threads and children, on these cores and with only this environment."""
    allowed = os.sched_getaffinity(0)
    with log.open("ab") as output:
        os.sched_setaffinity(0, cores)
        try:
            process = psutil.Popen(command, env=dict(environment), stdout=output, stderr=output, cwd=log.parent)
        finally:
            os.sched_setaffinity(0, allowed)
    try:
        yield process
    finally:
        _end(process)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the user and system time so far of a process and its running children, in seconds."""
    total = 0.0
    for member in _family(process):
        with suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            total += times.user + times.system
    return total


def memory(process: psutil.Process) -> Memory:
    """Return the current memory of a process and its children."""
    held = [member.memory_full_info() for member in _family(process)]
    return Memory(sum(part.rss for part in held) / 2**20, sum(part.pss for part in held) / 2**20)


def reset_peak(process: psutil.Process) -> None:
    """Reset the peak that `peak` returns to the current size."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak(process: psutil.Process) -> float:
    """Return the peak resident size of the process itself, in MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _end(process: psutil.Popen) -> None:
    family = _family(process) if process.is_running() else []
    process.terminate()
    with suppress(psutil.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
