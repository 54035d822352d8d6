import os
import stat
from pathlib import Path

import pytest

from deposit.files import replace_file


def test_a_file_is_replaced_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for content in (b"one", b"two"):
        replace_file(path, content)
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (content, 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_replaces_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.touch()
    os.chown(path, 54321, 54322)
    replace_file(path, b"by sudo")
    assert (path.stat().st_uid, path.stat().st_gid) == (54321, 54322)
    replace_file(path, b"handed on", owner=54323)
    assert path.stat().st_uid == 54323
