"""Free ports, and who holds one that is not."""

import errno
import shlex
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from deposit.errors import ConfigError
from deposit.stack import processes


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
    for connection in psutil.net_connections(kind="tcp"):
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
            taken.setdefault(processes.stack_of(process) if process else None, []).append((name, port))
    complaints = [_of_a_stack(stack, held) if stack else _of_others(held) for stack, held in taken.items()]
    if complaints:
        raise ConfigError("; ".join(complaints) + "; or set other ports in the named settings")


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
