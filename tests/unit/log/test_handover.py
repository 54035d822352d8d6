"""What a shipper leaves in the object store, with a folder of a dictionary: the order in which things are written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deposit.errors import UpstreamError
from deposit.log.entries import Entry
from deposit.log.handover import Handover, leave_rest
from deposit.log.spool import Spool
from deposit.sections import LogSettings
from deposit.settings import Settings


class Folder:
    """Objects by key; a store that is down where `fails`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fails = False

    def put(self, key: str, data: bytes) -> str:
        if self.fails:
            raise UpstreamError("the store does not answer")
        self.objects[key] = data
        return key

    def get(self, key: str) -> bytes:
        return self.objects[key]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def uri(self, key: str) -> str:
        return f"s3://folder/{key}"


@pytest.fixture
def folder() -> Folder:
    return Folder()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.sqlite", 2**30, 2**20)
    opened.append([Entry("scored", 1, float(number), b"%d" % number) for number in range(5)])
    yield opened
    opened.close()


def _handover(folder: Any) -> Handover:
    return Handover(folder, "spool/")


def test_all_is_left_in_order_with_what_was_set_aside(folder: Folder, spool: Spool) -> None:
    (seq, _), *_ = spool.read(1)
    spool.set_aside(seq, "a test")
    assert _handover(folder).leave(spool, 2) == 5
    assert spool.state()[:2] == (0, 0)
    handover, payloads = _handover(folder), []
    keys = handover.waiting()
    assert len(keys) > 1
    for key in keys:
        taken = handover.read(key)
        assert taken is not None
        payloads += [entry.payload for _, entry in taken.batch]
        handover.finish(key, taken)
    assert sorted(payloads) == [b"0", b"1", b"2", b"3", b"4"]
    assert folder.objects == {}


def test_what_cannot_be_written_stays_in_the_spool(
    folder: Folder, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    folder.fails = True
    leave_rest(_handover(folder), spool, 2)
    assert spool.state().rows == 5
    assert "stay on this disk alone: the store does not answer" in caplog.text
    folder.fails = False
    leave_rest(_handover(folder), spool, 2)
    assert spool.state().rows == 0
    assert "5 rows were left in the object store" in caplog.text


def test_what_cannot_be_stored_is_one_object_however_many_shippers_try_it(folder: Folder, spool: Spool) -> None:
    _handover(folder).leave(spool, 100)
    one, other = _handover(folder), _handover(folder)
    (key,) = one.waiting()
    takes = [handover.read(key) for handover in (one, other)]
    for handover, taken in zip((one, other), takes, strict=True):
        assert taken is not None
        taken.set_aside(3, "PostgreSQL refuses it")
        handover.finish(key, taken)
    (aside,) = folder.objects
    assert aside.endswith(".aside")
    assert one.waiting() == []
    # tried again when a shipper starts, and kept when that fails again
    later = _handover(folder)
    assert later.waiting() == [aside]
    taken = later.read(aside)
    assert taken is not None
    assert [entry.payload for _, entry in taken.batch] == [b"3"]
    taken.set_aside(0, "still")
    later.finish(aside, taken)
    assert list(folder.objects) == [aside]
    later.finish(aside, later.read(aside))  # type: ignore[arg-type]
    assert folder.objects == {}


def test_what_is_damaged_or_gone_holds_nothing_up(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    handover = _handover(folder)
    folder.put("spool/1.entries", b"no entries")
    assert handover.read("spool/1.entries") is None
    assert "s3://folder/spool/1.entries is damaged" in caplog.text
    assert handover.waiting() == []
    assert handover.read("spool/2.entries") is None
    assert list(folder.objects) == ["spool/1.entries"]


def test_a_folder_is_named_by_the_settings_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert Handover.of(settings.log, settings.store) is None
    assert Handover.of(LogSettings(handover_uri="s3://bucket/spool"), settings.store) is not None
