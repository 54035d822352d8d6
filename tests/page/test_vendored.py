import hashlib
import re
from pathlib import Path

import pytest

from deposit.settings import REPOSITORY

FOLDERS = (REPOSITORY / "bento" / "serving" / "static" / "vendor", Path(__file__).parent / "vendor")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_vendored_files_are_what_the_table_says(folder: Path) -> None:
    rows = re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in folder.iterdir() if path.suffix in {".js", ".css"}}
    for name, expected in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
