"""The durable spool: entries wait in one SQLite file until they are in PostgreSQL.

Services append and the shipper removes, each in a process of its own, all on the same file.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deposit.errors import SpoolError
from deposit.log.entries import Entry
from deposit.log.spoolfile import Identity, identity_of, is_damaged, is_passing, open_file, put_aside, size_of
from deposit.settings import Settings

_BATCH_BYTES = 64 * 2**20
_VACUUM_PAGES = 256
_KEPT_PAGES = 4096
"""Of the file, empty ones for the entries to come (16 MiB): giving pages back and taking them again costs time."""
_REMOVED_AT_ONCE = 50
_TURN_SECONDS = 0.001


class SpoolState(NamedTuple):
    """What the spool holds.

    Args:
        entries: waiting.
        rows: waiting, in rows of PostgreSQL.
        oldest_at: when the oldest waiting entry was made, unix seconds.
        shipped_rows: removed after shipping, since the file was made.
        bytes: size of the file.
        aside_rows: in entries that could not be stored and were set aside.
    """

    entries: int
    rows: int
    oldest_at: float | None
    shipped_rows: int
    bytes: int
    aside_rows: int


class Spool:
    """A queue on the disk, first in, first out; any thread may call. Everything raises SpoolError.

    The file is opened when first needed and again after an error, so that it recovers by itself.

    Args:
        path: of the SQLite file; made with its folder.
        max_bytes: the file does not grow beyond it.
        reserve_bytes: of the disk that stay free, so that the shipper can work when the disk is nearly full.
    """

    def __init__(self, path: Path, max_bytes: int, reserve_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._identity: Identity | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Spool":
        """The spool that the settings name."""
        return cls(settings.spool_path, settings.log.spool_max_bytes, settings.log.reserve_bytes)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in one transaction; on return they are on the disk."""
        rows = sum(entry.rows for entry in entries)
        with self._transaction() as connection:
            self._require_space(sum(len(entry.payload) for entry in entries))
            connection.executemany("INSERT INTO entries (kind, rows, at, payload) VALUES (?, ?, ?, ?)", entries)
            connection.execute("UPDATE totals SET entries = entries + ?, rows = rows + ?", (len(entries), rows))

    def read(self, rows: int) -> list[tuple[int, Entry]]:
        """The oldest entries with their numbers: at least one if there is any, then up to about `rows` rows."""
        entries: list[tuple[int, Entry]] = []
        size = 0
        with self._connection() as connection:
            query = "SELECT seq, kind, rows, at, payload FROM entries ORDER BY seq"
            for seq, *values in connection.execute(query):
                entry = Entry(*values)
                rows -= entry.rows
                size += len(entry.payload)
                if entries and (rows < 0 or size > _BATCH_BYTES):
                    break
                entries.append((seq, entry))
        return entries

    def remove(self, seqs: Sequence[int]) -> None:
        """Remove shipped entries and count their rows; those that are gone already do not count."""
        for start in range(0, len(seqs), _REMOVED_AT_ONCE):
            if start:
                time.sleep(_TURN_SECONDS)  # SQLite's lock knows no queue: without a pause no service would get it
            self._remove(seqs[start : start + _REMOVED_AT_ONCE])
        while self._shrink():
            time.sleep(_TURN_SECONDS)

    def set_aside(self, seq: int, reason: str) -> None:
        """Take an entry that cannot be stored out of the others' way, and keep it."""
        with self._transaction() as connection:
            query = "DELETE FROM entries WHERE seq = ? RETURNING kind, rows, at, payload"
            for entry in connection.execute(query, (seq,)).fetchall():
                connection.execute("INSERT INTO aside VALUES (?, ?, ?, ?, ?)", (*entry, reason))
                connection.execute(
                    "UPDATE totals SET entries = entries - 1, rows = rows - ?, aside_rows = aside_rows + ?",
                    (entry[1], entry[1]),
                )

    def restore(self) -> int:
        """Let everything that was set aside wait again; the number of entries."""
        with self._transaction() as connection:
            entries = connection.execute("DELETE FROM aside RETURNING kind, rows, at, payload").fetchall()
            connection.executemany("INSERT INTO entries (kind, rows, at, payload) VALUES (?, ?, ?, ?)", entries)
            connection.execute(
                "UPDATE totals SET entries = entries + ?, rows = rows + aside_rows, aside_rows = 0", (len(entries),)
            )
        return len(entries)

    def state(self) -> SpoolState:
        """What it holds now; costs the same however much that is."""
        with self._connection() as connection:
            entries, rows, shipped, aside, oldest = connection.execute(
                "SELECT entries, rows, shipped_rows, aside_rows, (SELECT at FROM entries ORDER BY seq LIMIT 1)"
                " FROM totals"
            ).fetchone()
            return SpoolState(entries, rows, oldest, shipped, size_of(self._path), aside)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            self._close()

    def _remove(self, seqs: Sequence[int]) -> None:
        with self._transaction() as connection:
            query = "DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?)) RETURNING rows"
            gone = connection.execute(query, (json.dumps(seqs),)).fetchall()
            rows = sum(count for (count,) in gone)
            connection.execute(
                "UPDATE totals SET entries = entries - ?, rows = rows - ?, shipped_rows = shipped_rows + ?",
                (len(gone), rows, rows),
            )

    def _shrink(self) -> bool:
        """Move the write-ahead log into the file, and return a part of that to the disk if more than half is empty."""
        with self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (empty,) = connection.execute("PRAGMA freelist_count").fetchone()
            if empty <= max(_KEPT_PAGES, pages // 2):
                return False
            # `execute` would take one page and stop, since no row comes of it
            connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            return True

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The open file. What fails becomes a SpoolError and, unless it passes, closes the file."""
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                identity = self._identity
                if not is_passing(error):
                    self._close()
                if is_damaged(error):
                    put_aside(self._path, identity, error)
                raise SpoolError(
                    f"cannot use the spool {self._path}: {_reason(error)}; free some space on its disk, or set "
                    "DEPOSIT_LOG__SPOOL_MAX_BYTES if it may grow, and see that `deposit shipper` runs"
                ) from error

    def _open(self) -> sqlite3.Connection:
        # a file that lost its name, put aside by another process or removed by a person, takes no more entries
        if self._opened is None or identity_of(self._path) != self._identity:
            self._close()
            self._opened = open_file(self._path, self._max_bytes)
            self._identity = identity_of(self._path)
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def _require_space(self, size: int) -> None:
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < self._reserve_bytes + size:
            raise SpoolError(
                f"the disk of {self._path} has less than {self._reserve_bytes / 2**20:,.0f} MiB free: free some, or "
                "lower DEPOSIT_LOG__RESERVE_BYTES"
            )


def _reason(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or str(error)
