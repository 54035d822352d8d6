"""What comes in: bodies as they are sent, unpacked, decoded and read as JSON."""

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
            raise http_error(400, f"the body is damaged, or not compressed as {self._coding}; send it again") from error

    def finish(self) -> None:
        """No more parts come. Raises RequestError 400 if the content is not complete."""
        if not self._stream.eof:
            raise http_error(400, f"the body breaks off before its {self._coding} stream ends; send it again")

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
                raise http_error(
                    413, f"the body is larger than {limit} bytes once decompressed; send fewer customers at a time"
                )
            if piece:
                yield piece
            await asyncio.sleep(0)  # the other requests' turn
    decompressor.finish()


def _not_read(codings: str) -> RequestError:
    names = codings if len(codings) <= _SHOWN else codings[: _SHOWN - 1] + "…"
    message = f"Content-Encoding: {names} is not read here; send the body as gzip or deflate, or not compressed"
    return http_error(415, message, headers=((b"accept-encoding", b"gzip, deflate"),))


def declared_codec(label: str | None) -> str | None:
    """The codec of a charset that the sender states; None if none is. Raises RequestError 415 for an unknown one."""
    if not label:
        return None
    codec = codec_of(label)
    if codec is None:
        raise http_error(415, f"the charset {label[:40]!r} is unknown; send utf-8, or state one such as windows-1252")
    return codec


@contextmanager
def refusals(status: int, field: str | None) -> Iterator[None]:
    """Turn what the reader refuses into RequestError: `status`, or 413 for what is too large."""
    try:
        yield
    except DataError as error:
        raise http_error(413 if isinstance(error, TooLargeError) else status, str(error), field) from error


_UTF8 = "utf-8"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""That of UTF-32, little end first, begins like that of UTF-16."""
_LONGEST_NUMBER = 400
"""Digits, more than any double has: Python refuses to read integers of more than 4300."""


def as_utf8(body: bytes, charset: str | None) -> bytes:
    """A JSON body in UTF-8 without a byte-order mark; the same bytes if they are that already.

    `charset` is the stated one; a byte-order mark, or the zeros of UTF-16 and UTF-32, count for more.
    Raises RequestError 400 for bytes that do not fit, 415 for an unknown charset.
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
    """The document in a JSON body, with NaN and lone surrogates; a field that stands twice has the value TWICE.

    Names of fields may stand in an answer: of a lone surrogate they have a question mark.
    Raises RequestError 400 telling where it is not JSON.
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
        raise http_error(400, "the body is nested too deeply; see /docs.json for its form") from error


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
    """The body in UTF-8, as it is logged, and the request in it. Raises RequestError 400, 415 or 422."""
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
    """Whether a field of a request, or of one of its customers, stands more than once."""
    if TWICE in document.values():
        return True
    return any(TWICE in customer.values() for customer in document["customers"])


def _explanation(body: bytes) -> RequestError:
    """Look again, slowly and with a lenient reader, so that NaN and the like are named by row and field."""
    problems = problems_of(read_leniently(body))
    return RequestError(422, problems) if problems else http_error(400, "the body is not JSON as RFC 8259 describes it")
