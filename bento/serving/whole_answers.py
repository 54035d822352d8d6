"""Answers that reach the socket whole: a process that is killed has sent all of a small one, or nothing.

Uvicorn writes an answer's head and its body by one system call each. Killed in between, it would leave a head that the
gateway has passed on, and cannot take back to ask another replica.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SMALL = 64 * 2**10


class JoinedWrites(asyncio.Transport):
    """A transport that writes at once what it is given in one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[Any] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """Write it at the end of this turn, or as soon as it is no small answer any more."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _SMALL:  # the transport must know how much waits, so as to have its writer pause
            self._flush()

    def close(self) -> None:
        """Write what waits, and close when that is sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """As the transport's."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport's."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As the transport's."""
        self._transport.set_protocol(protocol)

    def pause_reading(self) -> None:
        """As the transport's."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As the transport's."""
        self._transport.resume_reading()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))


class WholeAnswers(HttpToolsProtocol):
    """HTTP by such transports."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(JoinedWrites(transport, self.loop))
