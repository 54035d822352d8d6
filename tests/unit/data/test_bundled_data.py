import hashlib

from deposit.data.columns import FEATURES, Category
from deposit.data.sources import BUNDLED, ORIGINAL_SHA256

FOLDER = BUNDLED.parent


def test_the_checksums_are_those_of_the_files() -> None:
    sums = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        "bank-additional-full.csv": ORIGINAL_SHA256,
        BUNDLED.name: hashlib.sha256(BUNDLED.read_bytes()).hexdigest(),
    }


def test_the_readme_tells_each_column_with_what_is_allowed() -> None:
    lines = (FOLDER / "README.md").read_text().splitlines()
    for column in FEATURES:
        (line,) = [line for line in lines if line.startswith(f"| `{column.name}` |")]
        limits = column.allowed if isinstance(column, Category) else (f"{column.low:g}", f"{column.high:g}")
        assert all(limit in line for limit in (column.meaning, *limits))


def test_licence_and_citation_are_there() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert "10.1016/j.dss.2014.03.001" in readme
    assert "10.24432/C5K306" in readme
    assert "creativecommons.org/licenses/by/4.0" in (FOLDER / "LICENSE").read_text()
