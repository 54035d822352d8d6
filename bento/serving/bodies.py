"""Request bodies: decompression, character encodings and JSON parsing."""

import asyncio
import codecs
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from deposit.data.tables.plaintext import codec_of
from deposit.errors import DataError, TooLargeError
from serving.problems import TWICE, RequestError, http_error, problems_of
from serving.request_schemas import PredictRequest, decode_request, may_repeat_fields

_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_GZIP_MARK = b"\x1f\x8b"
_STEP = 256 * 2**10
"""Maximum number of bytes, compressed or decompressed, that are processed at a time; takes about a millisecond."""
_SHOWN = 40


class Decompressor:
    """Incremental decompressor for one request body.

    Args:
        coding: `gzip`, `x-gzip` or `deflate`.
    """

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = zlib.decompressobj(_WINDOWS[coding])

    def steps(self, part: bytes) -> Iterator[bytes]:
        """Decompress the next part of the body, yielding pieces of at most 256 KiB, some of which may be empty.

        Raises RequestError 400 if the body is damaged.
        """
        try:
            for start in range(0, len(part), _STEP):
                yield from self._steps(part[start : start + _STEP])
        except zlib.error as error:
            raise http_error(400, f"the body is damaged, or not compressed as {self._coding}; send it again") from error

    def finish(self) -> None:
        """Check that the stream is complete, after its last part. Raises RequestError 400 if it is not."""
        if not self._stream.eof:
            raise http_error(400, f"the body ends before its {self._coding} stream does; send it again")

    def _steps(self, rest: bytes) -> Iterator[bytes]:
        full = False
        while rest or full:
            if self._stream.eof:  # a gzip file may contain several streams
                self._stream = zlib.decompressobj(_WINDOWS[self._coding])
            piece = self._stream.decompress(rest, _STEP)
            rest = self._stream.unused_data or self._stream.unconsumed_tail
            # after a full piece, the stream may still buffer content although the whole input was consumed
            full = len(piece) == _STEP and not self._stream.eof
            yield piece


def decompressor_of(headers: Iterable[tuple[bytes, bytes]]) -> Decompressor | None:
    """Return the decompressor for a body with these headers, or None if it is not compressed.

    Raises RequestError 415 if the content coding is not supported.
    """
    declared = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1")
    codings = [coding for coding in (name.strip().lower() for name in declared.split(",")) if coding]
    codings = [coding for coding in codings if coding != "identity"]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _WINDOWS:
        raise _unsupported(", ".join(codings))
    return Decompressor(codings[0])


async def decompressed(
    parts: AsyncIterator[bytes], decompressor: Decompressor, limit: int
) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed body in non-empty pieces. Raises RequestError 400, or 413 above `limit` bytes."""
    size = 0
    async for part in parts:
        for piece in decompressor.steps(part):
            size += len(piece)
            if size > limit:
                raise http_error(
                    413, f"the body is larger than {limit} bytes once decompressed; send fewer customers at a time"
                )
            if piece:
                yield piece
            await asyncio.sleep(0)  # let other requests run
    decompressor.finish()


def _unsupported(codings: str) -> RequestError:
    names = codings if len(codings) <= _SHOWN else codings[: _SHOWN - 1] + "…"
    message = f"Content-Encoding: {names} is not supported; send the body as gzip or deflate, or uncompressed"
    return http_error(415, message, headers=((b"accept-encoding", b"gzip, deflate"),))


def declared_codec(label: str | None) -> str | None:
    """Return the codec of the declared charset, or None if none is declared. Raises RequestError 415 if unknown."""
    if not label:
        return None
    codec = codec_of(label)
    if codec is None:
        raise http_error(415, f"the charset {label[:40]!r} is unknown; send utf-8, or state one such as windows-1252")
    return codec


@contextmanager
def refusals(status: int, field: str | None) -> Iterator[None]:
    """Convert a reader's DataError to a RequestError with `status`, or with 413 if the data is too large."""
    try:
        yield
    except DataError as error:
        raise http_error(413 if isinstance(error, TooLargeError) else status, str(error), field) from error


_UTF8 = "utf-8"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""Byte-order marks; that of UTF-32-LE begins with that of UTF-16-LE."""
_LONGEST_NUMBER = 400
"""Maximum digits of an integer literal, more than any double has; Python raises an error above 4300 digits."""


def as_utf8(body: bytes, charset: str | None) -> bytes:
    """Convert a JSON body to UTF-8 without a byte-order mark; returns the same bytes if it is already that.

    `charset` is the declared one. A byte-order mark, or the zero bytes of UTF-16 and UTF-32, take precedence over it.
    Raises RequestError 400 if the bytes cannot be decoded, 415 if the charset is unknown.
    """
    codec = declared_codec(charset) or _UTF8
    if body.startswith(_MARKS) or b"\0" in body[:4]:
        codec = json.detect_encoding(body)
    if codec == _UTF8:
        return body
    try:
        return body.decode(codec).encode()
    except UnicodeDecodeError as error:
        raise _not_text(codec, error) from error


def read_leniently(body: bytes) -> Any:
    """Parse a JSON body, allowing NaN and lone surrogates; a field that occurs twice in an object gets the value TWICE.

    Lone surrogates in field names are replaced by question marks, because a response may quote those names.
    Raises RequestError 400, with the position, if the body is not JSON.
    """
    if not body.strip():
        raise http_error(400, "the body is empty; send JSON")
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise _not_text(_UTF8, error) from error
    except json.JSONDecodeError as error:
        raise http_error(400, f"the body is not JSON: see line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise http_error(400, "the body is nested too deeply; see /docs.json for its schema") from error


def _not_text(codec: str, error: UnicodeDecodeError) -> RequestError:
    if error.object.startswith(_GZIP_MARK):
        return http_error(400, "the body is compressed as gzip: send it with Content-Encoding: gzip")
    name = codec.removesuffix("-sig")
    return http_error(400, f"the body is not text in {name}: see byte {error.start}; send the JSON in utf-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = dict(pairs)
    if len(document) == len(pairs) and "".join(document).isascii():
        return document
    document = {}
    for name, value in pairs:
        printable = name.encode(errors="replace").decode()
        document[printable] = TWICE if printable in document else value
    return document


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


def parse_body(body: bytes, charset: str | None, max_customers: int) -> tuple[bytes, PredictRequest]:
    """Return the body in UTF-8, as it is logged, and the parsed request. Raises RequestError 400, 415 or 422."""
    text = as_utf8(body, charset)
    try:
        content = decode_request(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explanation(text) from error
    if may_repeat_fields(text, content) and _repeats_fields(document := read_leniently(text)):
        raise RequestError(422, problems_of(document))
    if not 1 <= len(content.customers) <= max_customers:
        count = len(content.customers) or "none"
        raise http_error(422, f"must hold from 1 to {max_customers} customers; got {count}", "customers")
    return text, content


def _repeats_fields(document: dict[str, Any]) -> bool:
    """Return whether a field of the request, or of one of its customers, occurs more than once."""
    if TWICE in document.values():
        return True
    return any(TWICE in customer.values() for customer in document["customers"])


def _explanation(body: bytes) -> RequestError:
    """Parse the body again with the slower, lenient reader, so that problems like NaN are reported by row and field."""
    problems = problems_of(read_leniently(body))
    return RequestError(422, problems) if problems else http_error(400, "the body is not JSON as RFC 8259 describes it")
