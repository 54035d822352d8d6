import codecs
import math
from typing import Any

import pytest

from serving.bodies import as_utf8, read_leniently
from serving.problems import TWICE, RequestError

TEXT = '{"id": "Müller €"}'


@pytest.mark.parametrize("charset", [None, "utf-8", "utf8", "UTF-8", "utf_8"])
def test_utf8_is_taken_as_it_is(charset: str | None) -> None:
    body = TEXT.encode()
    assert as_utf8(body, charset) is body


@pytest.mark.parametrize(
    ("codec", "charset"),
    [
        *[(codec, None) for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")],
        ("utf-16-be", "utf-16"),
        ("utf-8-sig", "windows-1252"),  # the mark counts for more
        ("windows-1252", "windows-1252"),
        ("iso-8859-15", "iso8859-15"),
    ],
)
def test_other_charsets_become_utf8(codec: str, charset: str | None) -> None:
    assert as_utf8(TEXT.encode(codec), charset) == TEXT.encode()


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE, codecs.BOM_UTF32_LE])
def test_a_mark_tells_the_order_of_bytes(mark: bytes) -> None:
    codec = {2: "utf-16-be", 4: "utf-32-be" if mark == codecs.BOM_UTF32_BE else "utf-32-le"}[len(mark)]
    assert as_utf8(mark + TEXT.encode(codec), None) == TEXT.encode()


@pytest.mark.parametrize(
    ("body", "charset", "status"),
    [
        (TEXT.encode(), "ascii", 400),
        (TEXT.encode("utf-16")[:-1], None, 400),
        ('{"id": "\ud800"}'.encode("utf-16-le", "surrogatepass"), None, 400),
        (b"{}", "no-such-charset", 415),
        (b"{}", "unicode_escape", 415),
        (b"{}", "base64", 415),
        (b"{}", "\0", 415),
    ],
)
def test_what_does_not_fit_is_refused(body: bytes, charset: str | None, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        as_utf8(body, charset)
    assert caught.value.status == status
    assert len(str(caught.value)) < 160


def test_the_lenient_reader_reads_what_the_fast_one_refuses() -> None:
    read: Any = read_leniently(rb'{"a": NaN, "b": "\ud800", "\ud800": 1, "c": 1, "c": 2, "d": [1e999]}')
    assert math.isnan(read["a"])
    assert (read["b"], read["?"], read["d"]) == ("\ud800", 1, [math.inf])
    assert read["c"] is TWICE
    assert read_leniently(b"9" * 10_000) == math.inf


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b'{"customers": [\n  {"age": }]}', "line 2, column 11"),
        (b"{} x", "line 1, column 4"),
        (b'{"id": "\xff"}', "not text in utf-8: see byte 8"),
        (b'{"id": "\xed\xa0\x80"}', "not text in utf-8: see byte 8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": "\0"}', "line 1, column 9"),
    ],
)
def test_where_it_is_no_json(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_leniently(body)
    assert caught.value.status == 400
