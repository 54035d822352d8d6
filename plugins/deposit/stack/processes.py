"""The processes of a stack without Docker, by the mark that all of them inherit from its supervisor."""

import os
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "STACK_OF_DEPOSIT"
"""Environment variable with the state folder in which the process's stack was started."""


def mark_of(process: psutil.Process) -> str | None:
    """The folder that a process's stack was started in; None if it is no stack's, another user's, or unmarked."""
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


def stack_of(process: psutil.Process) -> tuple[Path, int] | None:
    """The state folder, where it is now, and the supervisor's pid, of the stack that a process belongs to."""
    with suppress(psutil.Error):
        # a server that writes its title over its environment has marked parents still; the last of them works there
        marked = [each for each in (process, *process.parents()) if mark_of(each)]
        if marked:
            return Path(marked[-1].cwd()), marked[-1].pid
    return None


def end_all(root: Path, patience: float) -> None:
    """End every process of the stack in a folder, by force those that still run after `patience` seconds."""
    left = [process for process in psutil.process_iter() if process.pid != os.getpid() and _belongs(root, process)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=patience)[1]:
        process.kill()


def _belongs(root: Path, process: psutil.Process) -> bool:
    """By the mark, or, where a process title has overwritten that, by where it works.

    A person's shell in the state folder has a terminal; no part has.
    """
    try:
        if mark_of(process) == str(root):
            return True
        return Path(process.cwd()).is_relative_to(root) and process.terminal() is None
    except psutil.Error:
        return False
