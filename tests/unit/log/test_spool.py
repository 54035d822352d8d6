import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deposit.errors import SpoolError
from deposit.log.entries import Entry
from deposit.log.spool import Spool
from deposit.log.spoolfile import identity_of, move_damaged

MIB = 2**20
WRITER = """
import sys, time
from pathlib import Path
from deposit.log.entries import Entry
from deposit.log.spool import Spool
spool = Spool(Path(sys.argv[1]), 2**30, 0)
for number in range(300):
    spool.append([Entry("scored", 1, time.time(), f"{sys.argv[2]} {number}".encode())])
spool.close()
"""
KILLED_WRITER = """
import sys
from pathlib import Path
from deposit.log.entries import Entry
from deposit.log.spool import Spool
spool = Spool(Path(sys.argv[1]), 2**30, 0)
number = 0
while True:
    spool.append([Entry("scored", 1, 1.0, str(number).encode()), Entry("scored", 1, 1.0, str(number).encode())])
    print(number, flush=True)
    number += 1
"""


def _entry(payload: bytes = b"x", rows: int = 1, at: float = 5.0) -> Entry:
    return Entry("scored", rows, at, payload)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "spool.sqlite"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path, 64 * MIB, 0)
    yield spool
    spool.close()


def test_entries_come_back_oldest_first_and_whole(spool: Spool) -> None:
    entries = [Entry("ranked", 3, 1.5, b"a\0b"), Entry("scored", 1, 2.5, b""), Entry("outcomes", 2, 3.5, b"z")]
    spool.append(entries[:2])
    spool.append(entries[2:])
    assert [entry for _, entry in spool.read(100)] == entries


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (1000, 5)])
def test_a_read_ends_at_its_rows_but_gives_one_entry_at_least(spool: Spool, limit: int, count: int) -> None:
    spool.append([_entry(rows=10)] * 5)
    assert len(spool.read(limit)) == count


def test_a_read_of_large_entries_stays_small(spool: Spool) -> None:
    spool.append([_entry(bytes(20 * MIB))])
    spool.append([_entry(bytes(20 * MIB))])
    assert len(spool.read(1000)) == 2
    roomy = Spool(spool._path.with_name("roomy.sqlite"), 2**30, 0)
    for _ in range(5):
        roomy.append([_entry(bytes(20 * MIB))])
    assert len(roomy.read(1000)) == 3
    roomy.close()


def test_the_state_counts_what_waits_and_what_was_shipped(spool: Spool) -> None:
    assert spool.state()[:4] == (0, 0, None, 0)
    spool.append([_entry(rows=3, at=7.0), _entry(rows=4, at=8.0)])
    assert spool.state()[:4] == (2, 7, 7.0, 0)
    (first, _), (second, _) = spool.read(100)
    spool.remove([first])
    assert spool.state()[:4] == (1, 4, 8.0, 3)
    spool.remove([first, second])
    assert spool.state()[:4] == (0, 0, None, 7)
    assert spool.state().bytes > 0


def test_many_are_removed_as_few_are(spool: Spool) -> None:
    spool.append([_entry(rows=2)] * 1234)
    spool.remove([seq for seq, _ in spool.read(10_000)])
    assert spool.state()[:4] == (0, 0, None, 2468)


def test_a_number_never_comes_back(spool: Spool) -> None:
    spool.append([_entry()])
    ((first, _),) = spool.read(1)
    spool.remove([first])
    spool.append([_entry()])
    assert spool.read(1)[0][0] > first


def test_what_is_set_aside_is_out_of_the_way_and_can_be_restored(spool: Spool) -> None:
    spool.append([_entry(b"bad", rows=2), _entry(b"good")])
    (bad, kept), _ = spool.read(10)
    spool.set_aside(bad, "no good")
    assert [entry.payload for _, entry in spool.read(10)] == [b"good"]
    assert spool.state().rows == 1
    assert spool.state().aside_rows == 2
    assert spool.restore() == 1
    assert [entry for _, entry in spool.read(10)][-1] == kept
    assert spool.state()[:2] == (2, 3)
    assert spool.state().aside_rows == 0
    assert spool.restore() == 0


def test_only_the_owner_can_read_the_files(spool: Spool, path: Path) -> None:
    spool.append([_entry()])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} >= {"spool.sqlite", "spool.sqlite-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_every_commit_is_on_the_disk_before_append_returns(spool: Spool) -> None:
    connection = spool._open()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_full_spool_refuses_whole_batches_and_takes_more_once_there_is_room(path: Path) -> None:
    spool = Spool(path, MIB, 0)
    pair = [_entry(bytes(10_000)), _entry(bytes(10_000))]
    kept = 0
    while kept < 40:
        spool.append(pair)
        kept += 1
    with pytest.raises(SpoolError, match="DEPOSIT_LOG__SPOOL_MAX_BYTES"):
        spool.append(pair * 40)
    assert spool.state().entries == 2 * kept
    assert path.stat().st_size <= MIB
    spool.append([_entry(b"small")])
    spool.remove([seq for seq, _ in spool.read(20)])
    spool.append(pair * 5)
    assert spool.state().entries == 2 * kept - 20 + 11
    spool.close()


def test_nothing_is_appended_when_the_disk_is_nearly_full_but_what_is_there_can_be_shipped(path: Path) -> None:
    roomy = Spool(path, 64 * MIB, 0)
    roomy.append([_entry()] * 3)
    roomy.close()
    spool = Spool(path, 64 * MIB, reserve_bytes=2**60)
    with pytest.raises(SpoolError, match="DEPOSIT_LOG__RESERVE_BYTES"):
        spool.append([_entry()])
    spool.remove([seq for seq, _ in spool.read(2)])
    assert spool.state().entries == 1
    spool.close()


def test_the_disk_gets_back_what_an_outage_took(spool: Spool, path: Path) -> None:
    for _ in range(40):
        spool.append([_entry(bytes(MIB))])
    spool.append([_entry()])
    other = sqlite3.connect(path)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    grown = path.stat().st_size
    assert grown > 40 * MIB
    while len(batch := spool.read(10)) > 1:
        spool.remove([seq for seq, _ in batch[:-1]])
    assert path.stat().st_size < grown / 2


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_malformed_file_is_kept_beside_and_a_new_one_begun(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    spool = Spool(path, 64 * MIB, 0)
    with caplog.at_level(logging.CRITICAL):
        spool.append([_entry()])
    (kept,) = path.parent.glob("spool.damaged-*.sqlite")
    assert kept.read_bytes() == content
    assert kept.name in caplog.text
    assert spool.state().entries == 1
    spool.close()


def test_a_file_damaged_under_us_fails_once_and_is_put_aside_with_its_log(
    spool: Spool, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool.append([_entry(bytes(1000))] * 200)
    spool._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    spool.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 100_000)
    with pytest.raises(SpoolError):
        spool.read(1000)
    spool.append([_entry(b"after")])
    assert [entry.payload for _, entry in spool.read(10)] == [b"after"]
    assert len(list(path.parent.glob("spool.damaged-*.sqlite"))) == 1
    assert "is damaged" in caplog.text


def test_a_file_put_aside_by_another_process_takes_no_more_entries(spool: Spool, path: Path) -> None:
    spool.append([_entry(b"old")])
    move_damaged(path, identity_of(path), sqlite3.DatabaseError("damaged"))
    spool.append([_entry(b"new")])
    assert [entry.payload for _, entry in spool.read(10)] == [b"new"]
    (aside,) = path.parent.glob("spool.damaged-*.sqlite")
    other = sqlite3.connect(aside)
    assert other.execute("SELECT payload FROM entries").fetchall() == [(b"old",)]
    other.close()


def test_a_file_is_put_aside_once_though_several_processes_find_it_damaged(spool: Spool, path: Path) -> None:
    spool.append([_entry(b"old")])
    seen = identity_of(path)
    for _ in range(2):
        move_damaged(path, seen, sqlite3.DatabaseError("damaged"))
        spool.append([_entry(b"new")])
    assert spool.state().entries == 2


def test_a_folder_that_cannot_be_written_is_reported_and_used_once_it_can(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool" / "spool.sqlite", 64 * MIB, 0)
    with pytest.raises(SpoolError, match="cannot use the spool"):
        spool.append([_entry()])
    (tmp_path / "spool").unlink()
    spool.append([_entry()])
    assert spool.state().entries == 1
    spool.close()


def test_threads_of_one_process_share_a_spool(spool: Spool) -> None:
    def write() -> None:
        for _ in range(50):
            spool.append([_entry()])
            spool.state()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.state()[:2] == (200, 200)


def test_several_processes_write_while_another_ships(spool: Spool, path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")]
    shipped: list[bytes] = []
    while any(writer.poll() is None for writer in writers) or spool.state().entries:
        batch = spool.read(50)
        shipped += [entry.payload for _, entry in batch]
        spool.remove([seq for seq, _ in batch])
    for writer in writers:
        assert writer.wait() == 0
    for name in (b"a", b"b"):
        mine = [payload for payload in shipped if payload.startswith(name)]
        assert mine == [b"%s %d" % (name, number) for number in range(300)]
    assert spool.state().shipped_rows == 600


def test_what_was_appended_outlives_a_killed_process_and_half_a_batch_never_shows(spool: Spool, path: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert writer.stdout is not None
        promised = [int(writer.stdout.readline()) for _ in range(50)]
        writer.kill()
        promised += [int(line) for line in writer.stdout.read().split()]
        writer.stdout.close()
        writer.wait()
        batch = spool.read(1_000_000)
        numbers = [int(entry.payload) for _, entry in batch]
        assert numbers[::2] == numbers[1::2]
        assert set(numbers) >= set(promised)
        assert max(numbers) <= max(promised) + 1
        spool.remove([seq for seq, _ in batch])
