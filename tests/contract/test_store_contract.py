import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from deposit.errors import SourceError, UpstreamError
from deposit.sections import StoreSettings
from deposit.store import ObjectStore

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


def test_what_was_put_is_got(store: ObjectStore) -> None:
    data = os.urandom(100_000)
    assert store.put(BUCKET, "got/a b+ü.bin", data) == f"s3://{BUCKET}/got/a b+ü.bin"
    assert store.get(BUCKET, "got/a b+ü.bin") == data
    assert store.exists(BUCKET, "got/a b+ü.bin")


def test_a_put_replaces(store: ObjectStore) -> None:
    store.put(BUCKET, "replaced", b"old")
    store.put(BUCKET, "replaced", b"new")
    assert store.get(BUCKET, "replaced") == b"new"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put(BUCKET, "empty", b"")
    assert store.exists(BUCKET, "empty")
    assert store.get(BUCKET, "empty") == b""


def test_buckets_can_be_ensured_again(store: ObjectStore) -> None:
    store.put(BUCKET, "kept", b"1")
    store.ensure_buckets()
    assert store.get(BUCKET, "kept") == b"1"


def test_more_than_one_page_of_keys_is_listed_in_order(store: ObjectStore) -> None:
    names = [f"many/{number:04d}" for number in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(BUCKET, name, b"x"), reversed(names)))
    assert store.keys(BUCKET, "many/") == names


def test_a_prefix_limits_the_keys(store: ObjectStore) -> None:
    for name in ("prefix/a", "prefix/b/c", "prefixed"):
        store.put(BUCKET, name, b"x")
    assert store.keys(BUCKET, "prefix/") == ["prefix/a", "prefix/b/c"]
    assert store.keys(BUCKET, "prefix/none") == []


def test_put_if_absent_writes_once(store: ObjectStore) -> None:
    assert store.put_if_absent(BUCKET, "once", b"first")
    assert not store.put_if_absent(BUCKET, "once", b"second")
    assert store.get(BUCKET, "once") == b"first"


@pytest.mark.parametrize("attempt", range(5))
def test_of_racing_writers_one_wins_and_its_bytes_stay(store: ObjectStore, attempt: int) -> None:
    contents = [f"writer {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda data: store.put_if_absent(BUCKET, f"race/{attempt}", data), contents))
    assert won.count(True) == 1
    assert store.get(BUCKET, f"race/{attempt}") == contents[won.index(True)]


def test_a_deleted_key_is_absent_and_may_be_deleted_again(store: ObjectStore) -> None:
    store.put(BUCKET, "deleted", b"x")
    store.delete(BUCKET, "deleted")
    store.delete(BUCKET, "deleted")
    assert not store.exists(BUCKET, "deleted")
    assert store.put_if_absent(BUCKET, "deleted", b"again")


def test_a_large_file_goes_up_in_parts_and_comes_back_whole(store: ObjectStore, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(2**20) * 20)
    store.download(store.upload(source, BUCKET, "large"), copy)
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_an_absent_key_is_named(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.exists(BUCKET, "absent")
    with pytest.raises(SourceError, match=f"{BUCKET}/absent .*no such object"):
        store.get(BUCKET, "absent")
    with pytest.raises(SourceError, match="absent"):
        store.download(f"s3://{BUCKET}/absent", tmp_path / "copy")


def test_an_absent_bucket_is_named(store: ObjectStore) -> None:
    with pytest.raises(SourceError, match="no-such-bucket"):
        store.keys("no-such-bucket")


def test_wrong_keys_are_refused_by_the_embedded_server(object_store: StoreSettings) -> None:
    stranger = ObjectStore(object_store.model_copy(update={"access_key": "stranger"}))
    with pytest.raises(UpstreamError):
        stranger.get(BUCKET, "once")


def test_an_upload_that_is_refused_is_told_in_one_line(object_store: StoreSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    stranger = ObjectStore(object_store.model_copy(update={"access_key": "stranger"}))
    with pytest.raises(UpstreamError, match=f"cannot write {BUCKET}/refused"):
        stranger.upload(tmp_path / "file", BUCKET, "refused")


def test_a_server_that_is_down_is_told_in_one_line(free_ports) -> None:
    down = StoreSettings(endpoint_url=f"http://127.0.0.1:{free_ports(1)}", access_key="a", secret_key="b")
    with pytest.raises(UpstreamError, match=r"does not answer .*deposit up.*DEPOSIT_STORE__ENDPOINT_URL") as caught:
        ObjectStore(down).put(BUCKET, "key", b"x")
    assert "\n" not in str(caught.value)
