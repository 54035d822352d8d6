import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bodies import Decompressor, decompressed, decompressor_of
from serving.problems import RequestError

ENOUGH = 2**30
COMPRESS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}


def _content(coding: str, parts: list[bytes], limit: int = ENOUGH) -> bytes:
    async def sent() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def read() -> bytes:
        return b"".join([piece async for piece in decompressed(sent(), Decompressor(coding), limit)])

    return asyncio.run(read())


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@given(
    coding=st.sampled_from(sorted(COMPRESS)),
    contents=st.lists(st.binary(max_size=300) | st.integers(0, 700_000).map(bytes), min_size=1, max_size=3),
    size=st.integers(1, 3000),
)
def test_what_was_compressed_comes_out(coding: str, contents: list[bytes], size: int) -> None:
    body = b"".join(map(COMPRESS[coding], contents))
    assert _content(coding, _cut(body, size)) == b"".join(contents)


@pytest.mark.parametrize("content", [bytes(3 * 2**20), random.Random(7).randbytes(2**20), bytes(256 * 2**10)])
@pytest.mark.parametrize("size", [10_000, 10**9])
def test_content_of_many_steps_comes_out_whole(content: bytes, size: int) -> None:
    assert _content("gzip", _cut(gzip.compress(content, mtime=0), size)) == content


def test_no_step_is_long() -> None:
    bomb = gzip.compress(bytes(50 * 2**20))
    assert max(map(len, Decompressor("gzip").steps(bomb))) <= 256 * 2**10


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * 2**20))

    async def sent() -> AsyncIterator[bytes]:
        yield bomb

    async def read() -> None:
        async for _ in decompressed(sent(), Decompressor("gzip"), 20 * 2**20):
            pass

    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as caught:
            asyncio.run(read())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.status == 413
    assert "once decompressed" in str(caught.value)
    assert most < 5 * 2**20


def test_the_limit_itself_is_taken() -> None:
    body = gzip.compress(bytes(1000))
    assert len(_content("gzip", [body], 1000)) == 1000
    with pytest.raises(RequestError):
        _content("gzip", [body], 999)


@pytest.mark.parametrize("coding", sorted(COMPRESS))
@pytest.mark.parametrize("kept", [0, 1, 5, -1, -5])
def test_a_stream_that_breaks_off_is_refused(coding: str, kept: int) -> None:
    body = COMPRESS[coding](b"customers" * 100)
    with pytest.raises(RequestError, match="ends before") as caught:
        _content(coding, _cut(body[:kept], 7))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b'{"customers": []}'),
        ("gzip", zlib.compress(b"x")),
        ("deflate", gzip.compress(b"x", mtime=0)),
        ("gzip", gzip.compress(b"x", mtime=0) + b"and more"),
        ("gzip", gzip.compress(b"customers" * 9, mtime=0)[:-8] + bytes(8)),
    ],
)
def test_what_is_no_such_stream_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(RequestError, match="damaged, or not compressed as") as caught:
        _content(coding, [body])
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [b"identity", b"", b" , identity", b"Identity"])
def test_identity_is_no_coding(value: bytes) -> None:
    assert decompressor_of([(b"content-encoding", value)]) is None


@pytest.mark.parametrize("value", [b"gzip", b"GZIP", b"x-gzip", b" deflate ", b"identity, gzip"])
def test_codings_that_are_read(value: bytes) -> None:
    assert decompressor_of([(b"host", b"x"), (b"content-encoding", value)]) is not None


@pytest.mark.parametrize("value", [b"br", b"zstd", b"gzip, gzip", b"gzip;q=1", b"\xff", b"z" * 1000])
def test_codings_that_are_not_read_are_refused_by_name(value: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decompressor_of([(b"content-encoding", value)])
    assert caught.value.status == 415
    assert caught.value.headers == ((b"accept-encoding", b"gzip, deflate"),)
    assert value.decode("latin-1")[:30] in str(caught.value)
    assert len(str(caught.value)) < 160


def test_codings_in_two_headers_are_two_codings() -> None:
    with pytest.raises(RequestError, match="gzip, gzip"):
        decompressor_of([(b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")])
