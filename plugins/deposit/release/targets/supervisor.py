"""Client of supervisord: XML-RPC over a Unix socket."""

from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from deposit.errors import UpstreamError
from deposit.waiting import wait_until

__all__ = ["STOP_SECONDS", "Faults", "Supervisor"]
STOP_SECONDS = 20


class Supervisor:
    """The supervisor that listens on a socket. Each call opens a new connection."""

    def __init__(self, socket: Path | str) -> None:
        self._socket = socket

    def call(self, method: str, *arguments: Any, ignore: tuple[int, ...] = ()) -> Any:
        """Call a method and return its result, or None for a fault (of `Faults`) in `ignore`.

        Raises UpstreamError if supervisor rejects the call or does not answer.
        """
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        server = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode in ignore:
                return None
            raise UpstreamError(f"supervisor refused {method}: {fault.faultString}") from fault
        except (OSError, HTTPException, ProtocolError) as error:
            raise UpstreamError(
                f"supervisor does not answer on {self._socket} ({error}): start it (`deposit up`)"
            ) from error
        finally:
            transport.close()

    def take_off(self, group: str) -> None:
        """Stop and remove a group, even if `deposit up` or the releaser starts or removes it at the same time.

        Raises UpstreamError if supervisor rejects a call, does not answer, or does not stop the group.
        """

        def is_removed() -> bool:
            self.call("stopProcessGroup", group, ignore=(Faults.BAD_NAME,))
            self.call("removeProcessGroup", group, ignore=(Faults.BAD_NAME, Faults.STILL_RUNNING))
            return group not in {state["group"] for state in self.call("getAllProcessInfo")}

        if not wait_until(is_removed, STOP_SECONDS):
            raise UpstreamError(f"supervisor does not stop {group}: run `deposit down`, then start again")
