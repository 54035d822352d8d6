import pandas as pd
import pytest

from deposit.data import dataset
from deposit.data.contract import validate_rows
from deposit.data.sources import BUNDLED
from deposit.errors import IntegrityError, SourceError
from deposit.sections import StoreSettings
from deposit.store import ObjectStore

ORIGIN = dataset.Origin("test", "0" * 64, 3)


class MemoryStore(ObjectStore):
    """An object store in memory."""

    def __init__(self) -> None:
        self.settings = StoreSettings()
        self.objects: dict[str, bytes] = {}

    def put(self, bucket: str, key: str, data: bytes) -> str:
        self.objects[key] = data
        return f"s3://{bucket}/{key}"

    def put_if_absent(self, bucket: str, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def get(self, bucket: str, key: str) -> bytes:
        if key not in self.objects:
            raise SourceError(key)
        return self.objects[key]

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    raw = pd.read_csv(BUNDLED, sep=";", dtype=object, keep_default_na=False, nrows=300)
    good = validate_rows(raw.assign(id=[str(number) for number in range(1, 301)])).good
    return good.assign(period=["2008-05"] * 100 + ["2008-06"] * 200)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_version_is_read_as_it_was_published(store: MemoryStore, frame: pd.DataFrame) -> None:
    manifest, created = dataset.publish(store, "b", frame, ORIGIN)
    assert created
    found = dataset.load(store, "b", manifest.version)
    assert list(found.columns) == dataset.SCHEMA.names
    pd.testing.assert_frame_equal(
        found, frame.reset_index(drop=True)[found.columns], check_categorical=False, check_dtype=False
    )
    assert dataset.version_of(found) == manifest.version
    assert (manifest.rows, manifest.rejected, manifest.first_period, manifest.last_period) == (
        300,
        3,
        "2008-05",
        "2008-06",
    )
    assert sorted(store.objects) == [
        *(
            f"datasets/{manifest.version}/{name}"
            for name in ("manifest.json", "period=2008-05/part.parquet", "period=2008-06/part.parquet")
        ),
        "datasets/latest",
    ]


def test_the_same_rows_give_the_same_bytes(frame: pd.DataFrame) -> None:
    stores = MemoryStore(), MemoryStore()
    for store in stores:
        dataset.publish(store, "b", frame.copy(), ORIGIN)
    parts = [{key: data for key, data in store.objects.items() if key.endswith(".parquet")} for store in stores]
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


def test_a_version_without_manifest_is_invisible(store: MemoryStore, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(store, "b", frame, ORIGIN)
    del store.objects[f"datasets/{manifest.version}/manifest.json"]
    assert dataset.versions(store, "b") == []
    assert dataset.latest(store, "b") is None
    with pytest.raises(SourceError, match=f"no dataset version '{manifest.version}' in b: run `deposit ingest`"):
        dataset.load(store, "b", manifest.version)


def test_changed_bytes_are_refused(store: MemoryStore, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(store, "b", frame, ORIGIN)
    store.objects[manifest.files[1].key] = store.objects[manifest.files[0].key]
    with pytest.raises(IntegrityError, match=r"period=2008-06/part.parquet: sha256 is"):
        dataset.load(store, "b", manifest.version)


def test_a_damaged_manifest_is_refused(store: MemoryStore, frame: pd.DataFrame) -> None:
    manifest, _ = dataset.publish(store, "b", frame, ORIGIN)
    store.objects[f"datasets/{manifest.version}/manifest.json"] = b'{"version": 1'
    with pytest.raises(IntegrityError, match=r"manifest.json is damaged"):
        dataset.latest(store, "b")


def test_versions_are_in_the_order_of_their_publication(store: MemoryStore, frame: pd.DataFrame) -> None:
    made = [dataset.publish(store, "b", frame.head(rows), ORIGIN)[0] for rows in (200, 150, 300)]
    assert dataset.versions(store, "b") == made
    assert dataset.latest(store, "b") == made[-1]
    assert [manifest.parent for manifest in made] == [None, made[0].version, made[1].version]
    assert dataset.publish(store, "b", frame.head(200), ORIGIN) == (made[0], False)


def test_the_latest_is_what_was_ingested_last_new_or_not(store: MemoryStore, frame: pd.DataFrame) -> None:
    first, _ = dataset.publish(store, "b", frame, ORIGIN)
    dataset.publish(store, "b", frame.head(150), ORIGIN)
    dataset.publish(store, "b", frame, ORIGIN)
    assert dataset.latest(store, "b") == first
