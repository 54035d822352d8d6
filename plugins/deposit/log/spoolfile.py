"""The SQLite file of a spool: create it, open it, or move it away if it is damaged. Safe across processes."""

import logging
import os
import sqlite3
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path

from deposit.files import exclusive

logger = logging.getLogger(__name__)

_BUSY_SECONDS = 10.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TRANSIENT = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY}
_WAL_BYTES = 64 * 2**20
"""Size of the write-ahead log beyond which a service checkpoints it; below this the shipper does."""
_SCHEMA = (
    # AUTOINCREMENT: the number of a removed entry must never be reused, or a second shipper could remove a new entry
    "CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
    " rows INTEGER NOT NULL, at REAL NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aside (kind TEXT NOT NULL, rows INTEGER NOT NULL, at REAL NOT NULL,"
    " payload BLOB NOT NULL, reason TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS totals (entries INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " shipped_rows INTEGER NOT NULL, aside_rows INTEGER NOT NULL)",
    "INSERT INTO totals SELECT 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM totals)",
)

Identity = tuple[int, int]


def open_file(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open the file of a spool, or create it; a damaged file is moved away first. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(path):
        try:
            return _connect(path, max_bytes)
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            _rename(path, error)
            return _connect(path, max_bytes)


def move_damaged(path: Path, identity: Identity | None, error: Exception) -> None:
    """Move a damaged file out of the way, unless another process has done so already."""
    with _lock(path):
        if identity is not None and identity_of(path) == identity:
            _rename(path, error)


def is_damaged(error: Exception) -> bool:
    """Whether the error means that the file is not a valid database."""
    return _code(error) in _DAMAGED


def is_transient(error: Exception) -> bool:
    """Whether the error is transient, so that the open connection can still be used."""
    return _code(error) in _TRANSIENT


def identity_of(path: Path) -> Identity | None:
    """Return device and inode of the file at this path; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def size_of(path: Path) -> int:
    """Return the bytes on disk, including the write-ahead log."""
    return sum(part.stat().st_size for part in (path, Path(f"{path}-wal")) if part.exists())


def _connect(path: Path, max_bytes: int) -> sqlite3.Connection:
    # created here because SQLite would make it readable by other users; the -wal and -shm files inherit its mode. An
    # existing file is not opened: closing it would release all POSIX locks that this process has on it
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_BYTES // page_size}")
        connection.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
        if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'totals'").fetchone()[0]:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _lock(path: Path) -> AbstractContextManager[None]:
    """Lock for opening and renaming: without it one process could move away the file that another has just created."""
    return exclusive(path.with_suffix(".lock"))


def _rename(path: Path, error: Exception) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    # the main file last: a new file must never be opened with the write-ahead log of the old one
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    logger.critical(
        "the spool %s is damaged (%s): kept as %s, a new one is created; entries in the damaged file are not shipped, "
        "`sqlite3 %s .recover` prints them",
        path, error, aside, aside,
    )  # fmt: skip
