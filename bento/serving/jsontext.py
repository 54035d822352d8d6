"""The text of a JSON body: in UTF-8 whatever it came in, and a second look at what the fast decoder refused."""

import codecs
import json
from typing import Any

from serving.lists import stated_codec
from serving.problems import TWICE, RequestError, refuse

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
    codec = stated_codec(charset) or _UTF8
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
        raise refuse(400, "the body is empty; send JSON")
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise _not_text(_UTF8, error) from error
    except json.JSONDecodeError as error:
        raise refuse(400, f"the body is not JSON: see line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise refuse(400, "the body is nested too deeply; see /docs.json for its form") from error


def _not_text(codec: str, error: UnicodeDecodeError) -> RequestError:
    name = codec.removesuffix("-sig")
    return refuse(400, f"the body is not text in {name}: see byte {error.start}; send the JSON in utf-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        printable = name.encode(errors="replace").decode()
        made[printable] = TWICE if printable in made else value
    return made


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)
