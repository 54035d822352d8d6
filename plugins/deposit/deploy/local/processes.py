"""The processes of a stack without Docker, by the mark that all of them inherit from its supervisor."""

import errno
import os
import shlex
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from deposit.errors import ConfigError

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


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder(port: int) -> psutil.Process | None:
    """Who listens on a port; None where this user may not see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows them to root alone
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                return psutil.Process(connection.pid) if connection.pid else None
            except psutil.NoSuchProcess:
                return None
    return None


def require_free(ports: dict[str, int]) -> None:
    """Raise ConfigError naming every port that is taken, its setting, and who holds it: a stack by its folder.

    Args:
        ports: setting name → port.
    """
    taken: dict[tuple[Path, int] | None, list[tuple[str, int]]] = {}
    for name, port in ports.items():
        if not is_free(port):
            process = holder(port)
            taken.setdefault(stack_of(process) if process else None, []).append((name, port))
    complaints = [_of_a_stack(stack, held) if stack else _of_others(held) for stack, held in taken.items()]
    if complaints:
        raise ConfigError(
            "ports that the stack needs are taken: stop what holds them, or set others in the named settings",
            complaints,
        )


def _of_a_stack(stack: tuple[Path, int], held: list[tuple[str, int]]) -> str:
    folder, supervisor = stack
    ports = ", ".join(str(port) for _, port in held)
    # the object store's ports move together
    names = ", ".join(dict.fromkeys(name.split()[0] for name, _ in held))
    return (
        f"the stack in {folder} (supervisord, pid {supervisor}) holds port {ports} ({names}): "
        f"stop it, `make stop` in {folder.parent} or DEPOSIT_STATE_DIR={shlex.quote(str(folder))} deposit down"
    )


def _of_others(held: list[tuple[str, int]]) -> str:
    return "; ".join(f"port {port} ({name}) is held by {_named(holder(port))}: stop it" for name, port in held)


def _named(process: psutil.Process | None) -> str:
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            return f"{process.name()} (pid {process.pid})"
    return "a process of another user"
