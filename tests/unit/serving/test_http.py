from typing import Any

import pytest

from serving.access import Client
from serving.http import Request, charset_of, content_type


def _request(header: bytes | None) -> Request:
    headers = [] if header is None else [(b"content-type", header)]
    scope: dict[str, Any] = {
        "method": "POST", "path": "/predict", "query_string": b"", "headers": headers, "deposit.headers": dict(headers),
        "deposit.attempt": None,
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    return Request(scope, receive, b"r-1", Client("anonymous", frozenset(), 2**20), 1.0)


@pytest.mark.parametrize(
    ("header", "charset"),
    [
        (None, None),
        (b"application/json", None),
        (b"application/json;", None),
        (b"application/json; charset=utf-8", "utf-8"),
        (b"text/csv;Charset=UTF-8", "utf-8"),
        (b'text/csv; header=present; charset = "Windows-1252" ; x=y', "windows-1252"),
        (rb'text/csv; charset="utf\-8"', "utf-8"),
        (b'multipart/form-data; boundary="a;charset=koi8-r"; charset=latin1', "latin1"),
        (b"text/csv; charset=utf-8; charset=latin1", "utf-8"),
        (b"text/csv; charset=", None),
        (b'text/csv; charset=""', None),
        (b'text/csv; charset="utf-8', None),
        (b"text/csv; charset", None),
        (b"text/csv; ;=; =x;;", None),
        (b"text/csv; charset=\xff\x00", "ÿ\0"),
        (b"; charset=utf-16", "utf-16"),
    ],
)
def test_the_stated_charset(header: bytes | None, charset: str | None) -> None:
    assert charset_of(_request(header)) == charset


def test_the_media_type_is_what_stands_before_the_parameters() -> None:
    assert content_type(_request(b" Application/JSON ;charset=utf-8")) == b"application/json"
