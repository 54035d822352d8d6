"""The durable spool: a queue of entries in one SQLite file, kept until they are in PostgreSQL.

Services append entries and the shipper removes them, in separate processes on the same file.
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
from deposit.log.spoolfile import Identity, identity_of, is_damaged, is_transient, move_damaged, open_file, size_of
from deposit.settings import Settings

_BATCH_BYTES = 64 * 2**20
_VACUUM_PAGES = 256
_KEPT_PAGES = 4096
"""Free pages that stay in the file for new entries (16 MiB): returning pages to the disk and allocating them again
takes time."""
_REMOVED_AT_ONCE = 50
_YIELD_SECONDS = 0.001


class SpoolState(NamedTuple):
    """Size and age of a spool.

    Args:
        entries: number of waiting entries.
        rows: number of rows that the waiting entries become in PostgreSQL.
        oldest_at: creation time of the oldest waiting entry, in Unix seconds; None if no entry waits.
        shipped_rows: rows shipped since the file was created.
        bytes: size of the file.
        aside_rows: rows of entries that could not be stored and were set aside.
    """

    entries: int
    rows: int
    oldest_at: float | None
    shipped_rows: int
    bytes: int
    aside_rows: int


class Spool:
    """A FIFO queue on disk. Thread-safe; every method raises SpoolError.

    The file is opened on first use and reopened after an error, so the spool recovers without a restart.

    Args:
        path: SQLite file; it and its folder are created if missing.
        max_bytes: maximum size of the file.
        reserve_bytes: free disk space to leave, so that the shipper can work when the disk is nearly full.
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
        """Return the spool of this process's replica."""
        return cls(settings.spool_path, settings.log.spool_max_bytes, settings.log.reserve_bytes)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in one transaction; they are on disk on return."""
        rows = sum(entry.rows for entry in entries)
        with self._transaction() as connection:
            self._require_space(sum(len(entry.payload) for entry in entries))
            connection.executemany("INSERT INTO entries (kind, rows, at, payload) VALUES (?, ?, ?, ?)", entries)
            connection.execute("UPDATE totals SET entries = entries + ?, rows = rows + ?", (len(entries), rows))

    def read(self, rows: int) -> list[tuple[int, Entry]]:
        """Return the oldest entries with their sequence numbers: at least one if any waits, up to about `rows` rows."""
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
        """Remove shipped entries and add their rows to the total; entries already removed are not counted."""
        for start in range(0, len(seqs), _REMOVED_AT_ONCE):
            if start:
                time.sleep(_YIELD_SECONDS)  # SQLite's lock is not fair: without a pause no service would get it
            self._remove(seqs[start : start + _REMOVED_AT_ONCE])
        while self._shrink():
            time.sleep(_YIELD_SECONDS)

    def set_aside(self, seq: int, reason: str) -> None:
        """Move an entry that cannot be stored out of the queue, and keep it."""
        with self._transaction() as connection:
            query = "DELETE FROM entries WHERE seq = ? RETURNING kind, rows, at, payload"
            for entry in connection.execute(query, (seq,)).fetchall():
                connection.execute("INSERT INTO aside VALUES (?, ?, ?, ?, ?)", (*entry, reason))
                connection.execute(
                    "UPDATE totals SET entries = entries - 1, rows = rows - ?, aside_rows = aside_rows + ?",
                    (entry[1], entry[1]),
                )

    def restore(self) -> int:
        """Put all entries that were set aside back into the queue, and return their number."""
        with self._transaction() as connection:
            entries = connection.execute("DELETE FROM aside RETURNING kind, rows, at, payload").fetchall()
            connection.executemany("INSERT INTO entries (kind, rows, at, payload) VALUES (?, ?, ?, ?)", entries)
            connection.execute(
                "UPDATE totals SET entries = entries + ?, rows = rows + aside_rows, aside_rows = 0", (len(entries),)
            )
        return len(entries)

    def state(self) -> SpoolState:
        """Return the current state, in constant time."""
        with self._connection() as connection:
            entries, rows, shipped, aside, oldest = connection.execute(
                "SELECT entries, rows, shipped_rows, aside_rows, (SELECT at FROM entries ORDER BY seq LIMIT 1)"
                " FROM totals"
            ).fetchone()
            return SpoolState(entries, rows, oldest, shipped, size_of(self._path), aside)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
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
        """Checkpoint the write-ahead log, and return some pages to the disk if more than half of the file is free.

        Returns whether pages were returned, so that another call may return more.
        """
        with self._connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (empty,) = connection.execute("PRAGMA freelist_count").fetchone()
            if empty <= max(_KEPT_PAGES, pages // 2):
                return False
            # `execute` would free one page only: it steps the statement once, since that returns no rows
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
        """Yield the open connection. Errors become SpoolError and, unless transient, close the file."""
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                identity = self._identity
                if not is_transient(error):
                    self._close()
                if is_damaged(error):
                    move_damaged(self._path, identity, error)
                raise SpoolError(
                    f"cannot use the spool {self._path}: {_reason(error)}; free some space on its disk, or raise "
                    "DEPOSIT_LOG__SPOOL_MAX_BYTES, and check that `deposit shipper` runs"
                ) from error

    def _open(self) -> sqlite3.Connection:
        # reopen if the file was moved away by another process or deleted by a person: it must not get new entries
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
                f"the disk of {self._path} has less than {self._reserve_bytes / 2**20:,.0f} MiB free: free some space, "
                "or lower DEPOSIT_LOG__RESERVE_BYTES"
            )


def _reason(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or str(error)
