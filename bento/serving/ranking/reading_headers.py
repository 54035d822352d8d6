"""Headers that tell how a list was read: of CSV and .xlsx responses, and of requests to `/workbook`."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

import msgspec

from deposit.data.readings import Reading, Readings
from deposit.data.tables.dialect import Dialect
from deposit.data.tables.formats import cut
from serving.http import Request
from serving.problems import http_error

_MAX_BYTES = 6 * 1024
_TEXTS = (20, 5, 1, 0)
"""Numbers of texts per column to list in a header; the first that fits is used."""
_READINGS, _LINE, _CHARSET, _SEPARATOR = b"x-readings", b"x-header-line", b"x-charset", b"x-separator"
_MOST_IN_HEADER, _MOST_IN_REQUEST = 2000, 40
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


def header_text(text: str) -> bytes:
    """Convert a text to a header value: printable ASCII, cut to a length that every client accepts."""
    return _UNPRINTABLE.sub(b"?", cut(text, _MOST_IN_HEADER).encode("ascii", "replace"))


def reading_headers(readings: Iterable[Reading], dialect: Dialect) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of a response; a workbook and Parquet have no charset and no separator."""
    texts = ((_CHARSET, dialect.charset), (_SEPARATOR, dialect.separator))
    return (
        (_READINGS, _encode(readings)),
        (_LINE, str(dialect.header_line).encode()),
        *((name, header_text(text)) for name, text in texts if text),
    )


def _encode(readings: Iterable[Reading]) -> bytes:
    """Encode readings as ASCII JSON; if there are too many for a header, fewer texts are listed."""
    for most in _TEXTS:
        fewer = Readings(most)
        fewer.add(readings)
        value = json.dumps([asdict(each) for each in fewer.listed()]).encode()
        if len(value) <= _MAX_BYTES:
            break
    return value


def parse_readings(request: Request) -> list[Reading] | None:
    """Parse the readings in a request's headers; None if there are none. Raises RequestError 422."""
    header = request.headers.get(_READINGS)
    if header is None:
        return None
    try:
        return msgspec.json.decode(header, type=list[Reading])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _changed("X-Readings") from error


def parse_dialect(request: Request) -> Dialect | None:
    """Parse the dialect in a request's headers; None if X-Header-Line is absent. Raises RequestError 422."""
    line = request.headers.get(_LINE)
    if line is None:
        return None
    if not line.isdigit():
        raise _changed("X-Header-Line")
    texts = [request.headers.get(name, b"").decode("ascii", "replace") for name in (_CHARSET, _SEPARATOR)]
    charset, separator = (cut(text, _MOST_IN_REQUEST) or None for text in texts)
    return Dialect(charset, separator, int(line[:_MOST_IN_REQUEST]))


def _changed(header: str) -> Exception:
    return http_error(422, "must be unchanged from the /rank response, or omitted", header)
