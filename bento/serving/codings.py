"""Content codings: a compressed body is read in small steps, and never further than its limit."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator

from serving.problems import RequestError, refuse

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_STEP = 256 * 2**10
"""Bytes, of the body or of its content, that are worked on at a time: about a millisecond."""
_SHOWN = 40


class Decompressor:
    """The content of one compressed body, whose parts come one after another.

    Args:
        coding: `gzip`, `x-gzip` or `deflate`.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = zlib.decompressobj(_WINDOWS[coding])

    def steps(self, part: bytes) -> Iterator[bytes]:
        """What the next part holds, at most 256 KiB at a time; any may be empty. Raises RequestError 400."""
        try:
            for start in range(0, len(part), _STEP):
                yield from self._steps(part[start : start + _STEP])
        except zlib.error as error:
            raise refuse(400, f"the body is damaged, or not compressed as {self._coding}; send it again") from error

    def finish(self) -> None:
        """No more parts come. Raises RequestError 400 if the content is not complete."""
        if not self._stream.eof:
            raise refuse(400, f"the body breaks off before its {self._coding} stream ends; send it again")

    def _steps(self, rest: bytes) -> Iterator[bytes]:
        full = False
        while rest or full:
            if self._stream.eof:  # a file of gzip may hold several streams
                self._stream = zlib.decompressobj(_WINDOWS[self._coding])
            piece = self._stream.decompress(rest, _STEP)
            rest = self._stream.unused_data or self._stream.unconsumed_tail
            # a full step may have left content in the stream when all of the body is in it
            full = len(piece) == _STEP and not self._stream.eof
            yield piece


def decompressor_of(headers: Iterable[tuple[bytes, bytes]]) -> Decompressor | None:
    """What reads a body with these headers, None if it is not compressed. Raises RequestError 415."""
    stated = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1")
    codings = [coding for coding in (name.strip().lower() for name in stated.split(",")) if coding]
    codings = [coding for coding in codings if coding != "identity"]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _WINDOWS:
        raise _not_read(", ".join(codings))
    return Decompressor(codings[0])


async def decompressed(
    parts: AsyncIterator[bytes], decompressor: Decompressor, limit: int
) -> AsyncGenerator[bytes, None]:
    """The content of a body's parts, none empty. Raises RequestError 400, or 413 above `limit` bytes."""
    size = 0
    async for part in parts:
        for piece in decompressor.steps(part):
            size += len(piece)
            if size > limit:
                raise refuse(
                    413, f"the body is larger than {limit} bytes once decompressed; send fewer customers at a time"
                )
            if piece:
                yield piece
            await asyncio.sleep(0)  # the other requests' turn
    decompressor.finish()


def _not_read(codings: str) -> RequestError:
    shown = codings if len(codings) <= _SHOWN else codings[: _SHOWN - 1] + "…"
    message = f"Content-Encoding: {shown} is not read here; send the body as gzip or deflate, or not compressed"
    return refuse(415, message, headers=((b"accept-encoding", b"gzip, deflate"),))
