import pandas as pd
import pytest

from deposit.data import dataset
from deposit.data.contract import validate_rows
from deposit.data.sources import BUNDLED
from deposit.errors import IntegrityError, SourceError
from deposit.store import Bucket

ORIGIN = dataset.Origin("test", "0" * 64, 3)


class MemoryBucket(Bucket):
    """A bucket in memory."""

    def __init__(self) -> None:
        self.name = "b"
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> str:
        self.objects[key] = data
        return self.uri(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise SourceError(key)
        return self.objects[key]

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    raw = pd.read_csv(BUNDLED, sep=";", dtype=object, keep_default_na=False, nrows=300)
    good = validate_rows(raw.assign(id=[str(number) for number in range(1, 301)])).good
    return good.assign(period=["2008-05"] * 100 + ["2008-06"] * 200)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


def test_a_version_is_read_as_it_was_published(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    manifest, created = dataset.publish(bucket, frame, ORIGIN)
    assert created
    loaded = dataset.load(bucket, manifest.version)
    assert list(loaded.columns) == dataset.SCHEMA.names
    pd.testing.assert_frame_equal(
        loaded, frame.reset_index(drop=True)[loaded.columns], check_categorical=False, check_dtype=False
    )
    assert dataset.version_of(loaded) == manifest.version
    assert (manifest.rows, manifest.rejected, manifest.first_period, manifest.last_period) == (
        300,
        3,
        "2008-05",
        "2008-06",
    )
    assert sorted(bucket.objects) == [
        *(
            f"datasets/{manifest.version}/{name}"
            for name in ("manifest.json", "period=2008-05/part.parquet", "period=2008-06/part.parquet")
        ),
        "datasets/latest",
    ]


def test_the_same_rows_give_the_same_bytes(frame: pd.DataFrame) -> None:
    buckets = MemoryBucket(), MemoryBucket()
    for bucket in buckets:
        dataset.publish(bucket, frame.copy(), ORIGIN)
    parts = [{key: data for key, data in bucket.objects.items() if key.endswith(".parquet")} for bucket in buckets]
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", 999), ("age", 99), ("job", "student"), ("euribor3m", 4.8570000000000011), ("period", "2008-04"), ("y", 1)],
)
def test_any_changed_value_is_another_version(frame: pd.DataFrame, column: str, value: object) -> None:
    changed = frame.copy()
    changed.iloc[5, changed.columns.get_loc(column)] = value
    assert dataset.version_of(changed) != dataset.version_of(frame)


def test_another_order_is_another_version(frame: pd.DataFrame) -> None:
    assert dataset.version_of(frame.iloc[::-1]) != dataset.version_of(frame)


def test_the_index_and_the_kind_of_text_are_not_content(frame: pd.DataFrame) -> None:
    other = frame.reset_index(drop=True).astype({"job": "str", "month": object})
    assert dataset.version_of(other) == dataset.version_of(frame)


def test_a_version_without_manifest_is_invisible(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(bucket, frame, ORIGIN)
    del bucket.objects[f"datasets/{manifest.version}/manifest.json"]
    assert dataset.versions(bucket) == []
    assert dataset.latest(bucket) is None
    with pytest.raises(SourceError, match=f"no dataset version '{manifest.version}' in b: run `deposit ingest`"):
        dataset.load(bucket, manifest.version)


def test_changed_bytes_are_refused(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(bucket, frame, ORIGIN)
    bucket.objects[manifest.files[1].key] = bucket.objects[manifest.files[0].key]
    with pytest.raises(IntegrityError, match=r"period=2008-06/part.parquet: sha256 is"):
        dataset.load(bucket, manifest.version)


def test_a_damaged_manifest_is_refused(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(bucket, frame, ORIGIN)
    bucket.objects[f"datasets/{manifest.version}/manifest.json"] = b'{"version": 1'
    with pytest.raises(IntegrityError, match=r"manifest.json is damaged"):
        dataset.latest(bucket)


def test_versions_are_in_the_order_of_their_publication(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    made = [dataset.publish(bucket, frame.head(rows), ORIGIN)[0] for rows in (200, 150, 300)]
    assert dataset.versions(bucket) == made
    assert dataset.latest(bucket) == made[-1]
    assert [manifest.parent for manifest in made] == [None, made[0].version, made[1].version]
    assert dataset.publish(bucket, frame.head(200), ORIGIN) == (made[0], False)


def test_the_latest_is_what_was_ingested_last_new_or_not(bucket: MemoryBucket, frame: pd.DataFrame) -> None:
    first, _ = dataset.publish(bucket, frame, ORIGIN)
    dataset.publish(bucket, frame.head(150), ORIGIN)
    dataset.publish(bucket, frame, ORIGIN)
    assert dataset.latest(bucket) == first
