from pathlib import Path

import pytest

from deposit.log.entries import Entry
from deposit.log.spool import Spool
from deposit.log.spools import SpoolFolder
from deposit.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def _append(settings: Settings, replica: int, at: float) -> None:
    spool = Spool.of(settings.changed("serve", replica=replica))
    spool.append([Entry("scored", 2, at, b"x")])
    spool.close()


def test_every_replicas_spool_is_there_also_of_one_that_came_later(settings: Settings) -> None:
    folder = SpoolFolder(settings)
    assert folder.state().entries == 0
    _append(settings, 1, 20.0)
    _append(settings, 3, 10.0)
    assert [len(spool.read(100)) for spool in folder.spools()] == [1, 1]
    assert folder.state()[:4] == (2, 4, 10.0, 0)
    for spool in folder.spools():
        spool.remove([seq for seq, _ in spool.read(100)])
    assert folder.state()[:4] == (0, 0, None, 4)
    folder.close()


def test_a_damaged_file_that_was_put_aside_is_no_spool(settings: Settings) -> None:
    _append(settings, 2, 10.0)
    place = settings.state.spools
    for name in ("spool.damaged-20260101T000000000000.sqlite", "spool-2.damaged-20260101T000000000000.sqlite"):
        (place / name).write_bytes(b"no database")
    folder = SpoolFolder(settings)
    assert len(folder.spools()) == 2
    assert folder.restore() == 0
    folder.close()
