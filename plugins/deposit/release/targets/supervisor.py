"""Supervisord as its clients see it: XML-RPC on a unix socket."""

from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from deposit.errors import UpstreamError

__all__ = ["Faults", "Supervisor"]


class Supervisor:
    """The supervisor that listens on a socket, which is connected to at each call."""

    def __init__(self, socket: Path | str) -> None:
        self._socket = socket

    def call(self, method: str, *arguments: Any, ignore: int | None = None) -> Any:
        """What a method of its interface returns; None for the one fault (of `Faults`) to ignore.

        Raises UpstreamError if it refuses or does not answer.
        """
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        server = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode == ignore:
                return None
            raise UpstreamError(f"supervisor refused {method}: {fault.faultString}") from fault
        except (OSError, HTTPException, ProtocolError) as error:
            raise UpstreamError(
                f"supervisor does not answer on {self._socket} ({error}): start it (`deposit up`)"
            ) from error
        finally:
            transport.close()
