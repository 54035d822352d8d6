"""The spool's file: made, opened, or put aside if it is damaged. Several processes may do so at once."""

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
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY}
_WAL_BYTES = 64 * 2**20
"""Moving the write-ahead log into the file is the shipper's work; services do it only beyond this."""
_SCHEMA = (
    # AUTOINCREMENT: a number that was removed must never come back, or a second shipper could remove what is new
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
    """Open the spool's file, making it if need be; a damaged one is put aside first. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(path):
        try:
            return _connect(path, max_bytes)
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            _rename(path, error)
            return _connect(path, max_bytes)


def put_aside(path: Path, identity: Identity | None, error: Exception) -> None:
    """Move a file that turned out damaged out of the way, unless another process has done so already."""
    with _lock(path):
        if identity is not None and identity_of(path) == identity:
            _rename(path, error)


def is_damaged(error: Exception) -> bool:
    """Whether the error says that the file is not, or no more, a database."""
    return _code(error) in _DAMAGED


def is_passing(error: Exception) -> bool:
    """Whether the error leaves the open file in order."""
    return _code(error) in _PASSING


def identity_of(path: Path) -> Identity | None:
    """Which file has this name now; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def size_of(path: Path) -> int:
    """Bytes on the disk, those not yet moved out of the write-ahead log included."""
    return sum(part.stat().st_size for part in (path, Path(f"{path}-wal")) if part.exists())


def _connect(path: Path, max_bytes: int) -> sqlite3.Connection:
    # made before SQLite does, which would let others read it; the files beside it get the same mode. Never opened if it
    # is there: closing would drop every lock that this process holds on it
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
    """Only one process at a time opens or renames: else one could put aside what another has just made anew."""
    return exclusive(path.with_suffix(".lock"))


def _rename(path: Path, error: Exception) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    # the main file last: a new one must never meet the old one's write-ahead log
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    logger.critical(
        "the spool %s is damaged (%s): kept as %s, a new one is begun; what it holds is not shipped, "
        "`sqlite3 %s .recover` shows it",
        path, error, aside, aside,
    )  # fmt: skip
