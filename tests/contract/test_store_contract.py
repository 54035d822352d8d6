import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from deposit.errors import ConfigError, SourceError, UpstreamError
from deposit.sections import StoreSettings
from deposit.store import Bucket, ObjectStore

pytestmark = pytest.mark.servers
BUCKET = "deposit-reports"


@pytest.fixture(scope="module")
def moto() -> Iterator[StoreSettings]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield StoreSettings(endpoint_url=f"http://{host}:{port}", access_key="test", secret_key="test")
    server.stop()


@pytest.fixture(scope="module", params=["seaweedfs", "moto"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    name = {"seaweedfs": "object_store", "moto": "moto"}[request.param]
    made = ObjectStore(request.getfixturevalue(name))
    made.ensure_buckets()
    return made


@pytest.fixture(scope="module")
def bucket(store: ObjectStore) -> Bucket:
    return store.bucket(BUCKET)


def test_what_was_put_is_got(bucket: Bucket) -> None:
    data = os.urandom(100_000)
    assert bucket.put("got/a b+ü.bin", data) == f"s3://{BUCKET}/got/a b+ü.bin"
    assert bucket.get("got/a b+ü.bin") == data
    assert bucket.exists("got/a b+ü.bin")


def test_a_put_replaces(bucket: Bucket) -> None:
    bucket.put("replaced", b"old")
    bucket.put("replaced", b"new")
    assert bucket.get("replaced") == b"new"


def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    bucket.put("empty", b"")
    assert bucket.exists("empty")
    assert bucket.get("empty") == b""


def test_buckets_can_be_ensured_again(store: ObjectStore, bucket: Bucket) -> None:
    bucket.put("kept", b"1")
    store.ensure_buckets()
    assert bucket.get("kept") == b"1"


@pytest.fixture
def small_pages(store: ObjectStore) -> Iterator[list[int]]:
    """The server lists twenty keys at a time instead of a thousand; the number of keys of each page."""
    pages: list[int] = []
    events = store._client.meta.events

    def ask_for_few(params: dict[str, Any], **_: Any) -> None:
        params["MaxKeys"] = 20

    def count(parsed: dict[str, Any], **_: Any) -> None:
        pages.append(parsed["KeyCount"])

    events.register("before-parameter-build.s3.ListObjectsV2", ask_for_few)
    events.register("after-call.s3.ListObjectsV2", count)
    yield pages
    events.unregister("before-parameter-build.s3.ListObjectsV2", ask_for_few)
    events.unregister("after-call.s3.ListObjectsV2", count)


def test_more_than_one_page_of_keys_is_listed_in_order(bucket: Bucket, small_pages: list[int]) -> None:
    names = [f"many/{number:04d}" for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bucket.put(name, b"x"), reversed(names)))
    assert bucket.keys("many/") == names
    assert small_pages == [20, 20, 10]


def test_a_prefix_limits_the_keys(bucket: Bucket) -> None:
    for name in ("prefix/a", "prefix/b/c", "prefixed"):
        bucket.put(name, b"x")
    assert bucket.keys("prefix/") == ["prefix/a", "prefix/b/c"]
    assert bucket.keys("prefix/none") == []


def test_put_if_absent_writes_once(bucket: Bucket) -> None:
    assert bucket.put_if_absent("once", b"first")
    assert not bucket.put_if_absent("once", b"second")
    assert bucket.get("once") == b"first"


@pytest.mark.parametrize("attempt", range(5))
def test_of_racing_writers_one_wins_and_its_bytes_stay(bucket: Bucket, attempt: int) -> None:
    contents = [f"writer {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda data: bucket.put_if_absent(f"race/{attempt}", data), contents))
    assert won.count(True) == 1
    assert bucket.get(f"race/{attempt}") == contents[won.index(True)]


def test_a_deleted_key_is_absent_and_may_be_deleted_again(bucket: Bucket) -> None:
    bucket.put("deleted", b"x")
    bucket.delete("deleted")
    bucket.delete("deleted")
    assert not bucket.exists("deleted")
    assert bucket.put_if_absent("deleted", b"again")


def test_a_large_file_goes_up_in_parts_and_comes_back_whole(store: ObjectStore, bucket: Bucket, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(2**20) * 20)
    store.download(bucket.upload(source, "large"), copy)
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_an_absent_key_is_named(store: ObjectStore, bucket: Bucket, tmp_path: Path) -> None:
    assert not bucket.exists("absent")
    with pytest.raises(SourceError, match=f"{BUCKET}/absent .*no such object"):
        bucket.get("absent")
    with pytest.raises(SourceError, match="absent"):
        store.download(f"s3://{BUCKET}/absent", tmp_path / "copy")


def test_an_absent_bucket_is_named(store: ObjectStore) -> None:
    with pytest.raises(ConfigError, match="bucket no-such-bucket does not exist: make it, or correct DEPOSIT_OF_IT"):
        store.bucket("no-such-bucket", "DEPOSIT_OF_IT").keys()
    assert not store.bucket("no-such-bucket").is_there()


def test_wrong_keys_are_refused_by_the_embedded_server(object_store: StoreSettings) -> None:
    stranger = ObjectStore(object_store.model_copy(update={"access_key": "stranger"}))
    with pytest.raises(UpstreamError):
        stranger.bucket(BUCKET).get("once")


def test_an_upload_that_is_refused_is_reported_in_one_line(object_store: StoreSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    stranger = ObjectStore(object_store.model_copy(update={"access_key": "stranger"}))
    with pytest.raises(UpstreamError, match=f"cannot write {BUCKET}/refused"):
        stranger.bucket(BUCKET).upload(tmp_path / "file", "refused")


def test_a_server_that_is_down_is_reported_in_one_line(free_ports) -> None:
    down = StoreSettings(endpoint_url=f"http://127.0.0.1:{free_ports(1)}", access_key="a", secret_key="b")
    with pytest.raises(UpstreamError, match=r"does not answer .*deposit up.*DEPOSIT_STORE__ENDPOINT_URL") as caught:
        ObjectStore(down).bucket(BUCKET).put("key", b"x")
    assert "\n" not in str(caught.value)
