"""Free ports, and who holds one that is not."""

import errno
import socket

import psutil

from deposit.errors import ConfigError


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


def holder(port: int) -> str:
    """Who listens on a port: name and pid, as far as this user may see."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                break
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                break
    return "a process of another user"


def require_free(ports: dict[str, int]) -> None:
    """Raise ConfigError naming every port that is taken, its setting, and who holds it.

    Args:
        ports: setting name → port.
    """
    taken = [f"port {port} ({name}) is held by {holder(port)}" for name, port in ports.items() if not is_free(port)]
    if taken:
        raise ConfigError("; ".join(taken) + ": stop that process, or set another port in the named setting")
