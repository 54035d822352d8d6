"""Atomic writes of small responses: a process that is killed has sent the whole response or nothing of it.

Uvicorn writes the headers and the body of a response in two system calls. If it is killed in between, the gateway has
already forwarded the headers and can no longer retry the request on another replica.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_SMALL = 64 * 2**10


class JoinedWrites(asyncio.Transport):
    """A transport that joins all writes of one event loop iteration into a single write."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[Any] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """Write at the end of this iteration, or immediately once the buffered response is no longer small."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _SMALL:  # so that the transport sees its buffer size and can pause the writer
            self._flush()

    def close(self) -> None:
        """Flush the buffer, and close once everything is sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Delegate to the transport."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Delegate to the transport."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Delegate to the transport."""
        self._transport.set_protocol(protocol)

    def pause_reading(self) -> None:
        """Delegate to the transport."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Delegate to the transport."""
        self._transport.resume_reading()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))


class WholeAnswers(HttpToolsProtocol):
    """Uvicorn's HTTP protocol over a transport with joined writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport of a new connection."""
        super().connection_made(JoinedWrites(transport, self.loop))
