import os
from pathlib import Path

import pytest

from deposit.errors import SourceError
from deposit.scoring.inputs import find_inputs, local_copy
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


def test_a_file_that_another_took_the_place_of_is_refused(base: Path) -> None:
    (source,) = find_inputs(str(base / "b.csv"), STORE)
    with local_copy(source, base, STORE) as path:
        assert path.read_text() == "b.csv"
    os.utime(base / "b.csv", (1, 1))
    with pytest.raises(SourceError, match="has changed"), local_copy(source, base, STORE):
        pass
