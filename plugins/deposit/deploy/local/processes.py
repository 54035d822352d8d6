"""Find and end the processes of a stack without Docker, by a variable that they inherit from its supervisor."""

import errno
import os
import shlex
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deposit.errors import ConfigError

MARK = "STACK_OF_DEPOSIT"
"""Environment variable with the state folder in which the process's stack was started."""
_PART = "SUPERVISOR_PROCESS_NAME"
"""Environment variable in which supervisor passes a program its name."""


def mark_of(process: psutil.Process) -> str | None:
    """The state folder in which a process's stack was started; None without the mark, or for another user's process."""
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


def stack_of(process: psutil.Process) -> tuple[Path, int | None] | None:
    """The current state folder and the supervisor's pid of the stack that a process belongs to.

    If the supervisor was killed, the folder is the one in which the stack was started, and the pid is None.
    """
    with suppress(psutil.Error):
        # a server may overwrite its environment with its process title, but its parents are still marked; the topmost
        # one is the supervisor, whose working directory is the state folder
        marked = [each for each in (process, *process.parents()) if mark_of(each)]
        if marked:
            last = marked[-1]
            environment = last.environ()
            return (Path(environment[MARK]), None) if _PART in environment else (Path(last.cwd()), last.pid)
    return None


def by_part(root: Path) -> dict[str, int]:
    """The pid of each program of the stack in a folder, supervised or not, by the name that supervisor gave it.

    Servers that overwrite their environment with a process title are missing.
    """
    parts: dict[str, int] = {}
    for name, process in _programs(str(root)):
        parts.setdefault(name, process.pid)
    return parts


def end_all(root: Path, patience: float) -> None:
    """Terminate every process of the stack in a folder but the caller, and kill the rest after `patience` seconds."""
    own = _own_pids()
    _terminate(
        [process for process in psutil.process_iter() if process.pid not in own and _belongs(root, process)], patience
    )


def end_previous(patience: float) -> None:
    """Terminate what a killed server left running; called in the process that supervisor started in its place."""
    own, root, part = _own_pids(), os.environ[MARK], os.environ[_PART]
    _terminate([process for name, process in _programs(root) if name == part and process.pid not in own], patience)


def _programs(root: str) -> Iterator[tuple[str, psutil.Process]]:
    """Name and process of each program that the supervisor of the stack in a folder started, and of their children."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get(MARK) == root and _PART in environment:
                yield environment[_PART], process


def _own_pids() -> set[int]:
    return {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}


def _terminate(processes: Sequence[psutil.Process], patience: float) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=patience)[1]:
        process.kill()


def _belongs(root: Path, process: psutil.Process) -> bool:
    """Whether a process belongs to a stack, by its mark or, if a process title overwrote that, its working directory.

    A user's shell in the state folder has a terminal, a program of the stack has none.
    """
    try:
        if mark_of(process) == str(root):
            return True
        return Path(process.cwd()).is_relative_to(root) and process.terminal() is None
    except psutil.Error:
        return False


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now. Raises ConfigError if there is no such address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(
                    "this machine has no address 127.0.0.1, where all parts of the stack listen: give its loopback "
                    "interface that address, or use Docker"
                ) from error
            raise
    return True


def holder(port: int) -> psutil.Process | None:
    """The process that listens on a port; None if there is none, or this user may not see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them only to root
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                return psutil.Process(connection.pid) if connection.pid else None
            except psutil.NoSuchProcess:
                return None
    return None


def require_free(ports: dict[str, int]) -> None:
    """Raise ConfigError naming every port that is taken, its setting, and its holder, which may be another stack.

    Args:
        ports: ports by setting name.
    """
    taken: dict[tuple[Path, int | None] | None, list[tuple[str, int]]] = {}
    for name, port in ports.items():
        if not is_free(port):
            process = holder(port)
            taken.setdefault(stack_of(process) if process else None, []).append((name, port))
    complaints = [_of_a_stack(stack, held) if stack else _of_others(held) for stack, held in taken.items()]
    if complaints:
        raise ConfigError(
            "ports that the stack needs are taken: stop their holders, or choose others by the named settings",
            complaints,
        )


def _of_a_stack(stack: tuple[Path, int | None], held: list[tuple[str, int]]) -> str:
    folder, supervisor = stack
    by = "its supervisor was killed" if supervisor is None else f"supervisord, pid {supervisor}"
    ports = ", ".join(str(port) for _, port in held)
    # one setting moves all internal ports
    names = ", ".join(dict.fromkeys(name.split()[0] for name, _ in held))
    return (
        f"the stack in {folder} ({by}) holds port {ports} ({names}): "
        f"stop it, `make stop` in {folder.parent} or DEPOSIT_STATE_DIR={shlex.quote(str(folder))} deposit down"
    )


def _of_others(held: list[tuple[str, int]]) -> str:
    return "; ".join(f"port {port} ({name}) is held by {_named(holder(port))}: stop it" for name, port in held)


def _named(process: psutil.Process | None) -> str:
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            return f"{process.name()} (pid {process.pid})"
    return "a process of another user"
