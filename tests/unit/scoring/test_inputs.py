import os
from pathlib import Path

import pytest

from deposit.errors import ConfigError, SourceError
from deposit.scoring.inputs import find_inputs, local_copy, reads
from deposit.sections import StoreSettings
from deposit.store import ObjectStore

STORE = ObjectStore(StoreSettings())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in (
        "b.csv",
        "a.parquet",
        "month=may/x.parquet",
        "_SUCCESS",
        "_old/c.csv",
        ".hidden.csv",
        "month=jun/y.csv",
    ):
        path = tmp_path / "base" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "base" / "empty.csv").touch()
    return tmp_path / "base"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", ["a.parquet", "b.csv", "month=jun/y.csv", "month=may/x.parquet"]),
        ("*.csv", ["b.csv"]),
        ("**/*.csv", ["b.csv", "month=jun/y.csv"]),
        ("month=*/*", ["month=jun/y.csv", "month=may/x.parquet"]),
        ("[ab].*", ["a.parquet", "b.csv"]),
        ("b.csv", ["b.csv"]),
        ("month=*", ["month=jun/y.csv", "month=may/x.parquet"]),
    ],
)
def test_a_path_names_a_file_a_folder_or_a_pattern(base: Path, source: str, names: list[str]) -> None:
    inputs = find_inputs(str(base / source), STORE)
    assert [Path(each.uri).relative_to(base).as_posix() for each in inputs] == names
    assert [each.size for each in inputs] == [len(name) for name in names]


@pytest.mark.parametrize("source", ["none.csv", "*.xml", "_old", "empty.csv"])
def test_what_names_nothing_to_score_is_refused(base: Path, source: str) -> None:
    with pytest.raises(SourceError, match="there is no file with rows"):
        find_inputs(str(base / ("x" + source if source == "_old" else source)), STORE)


def test_folders_say_what_all_rows_of_a_file_have(base: Path) -> None:
    partitions = [each.partition for each in find_inputs(str(base), STORE)]
    assert partitions == [{}, {}, {"month": "jun"}, {"month": "may"}]
    assert [each.partition for each in find_inputs(str(base / "*" / "*.csv"), STORE)] == [{"month": "jun"}]
    assert [each.partition for each in find_inputs(str(base / "month=may"), STORE)] == [{"month": "may"}]
    (base / "month=__HIVE_DEFAULT_PARTITION__").mkdir()
    (base / "month=__HIVE_DEFAULT_PARTITION__" / "z.csv").write_text("z")
    assert [each.partition for each in find_inputs(str(base / "*" / "z.csv"), STORE)] == [{"month": ""}]


@pytest.mark.parametrize("source", ["", "s3a://bank/x", "gs://bank/x", "https://bank/x.csv", "file:///x", "S3://b/x"])
def test_what_is_neither_here_nor_in_the_store_is_refused_by_name(source: str) -> None:
    with pytest.raises(ConfigError, match=r"s3://bucket/"):
        find_inputs(source, STORE)


def test_a_folder_that_would_be_read_is_known_before_it_is_there(base: Path) -> None:
    assert reads(str(base), f"{base}/scores/part")
    assert reads(f"{base}/../base/", f"{base}/part")
    assert reads("s3://bank/in/", "s3://bank/in/scores/part")
    assert not reads(str(base), f"{base}/_scores/part")
    assert not reads(str(base), f"{base}-scores/part")
    assert not reads("s3://bank/in", "s3://bank/in2/part")


def test_a_link_to_a_folder_above_is_not_followed_in_a_circle(base: Path) -> None:
    (base / "month=may" / "again").symlink_to(base)
    (base / "above").symlink_to(base)
    assert len(find_inputs(str(base), STORE)) == 4


def test_a_file_that_another_took_the_place_of_is_refused(base: Path) -> None:
    (source,) = find_inputs(str(base / "b.csv"), STORE)
    with local_copy(source, base, STORE) as path:
        assert path.read_text() == "b.csv"
    os.utime(base / "b.csv", (1, 1))
    with pytest.raises(SourceError, match="has changed"), local_copy(source, base, STORE):
        pass
