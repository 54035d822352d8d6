"""The prediction log without a spool: `append` returns once the entries are committed in PostgreSQL.

For a service that is frozen after each response, as on Lambda: entries not stored by then might be lost.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence

import psycopg

from deposit.errors import ConfigError, LogError, UpstreamError
from deposit.log.batch import Batch, Connection, prepare
from deposit.log.entries import Entry, decode_entry
from deposit.log.spool import SpoolState

Connect = Callable[[], Connection]
_PAUSE_SECONDS = 2.0


class DatabaseLog:
    """Stores entries over one connection. Thread-safe; every method raises LogError.

    The connection is opened on first use. If it was lost, as happens while a function is frozen, it is replaced once
    and the entries are sent again, which is idempotent. For two seconds after a failure `append` fails immediately:
    each attempt to reach an unavailable server takes seconds, and a request has few of them.

    Args:
        connect: opens a connection; raises psycopg.Error, and UpstreamError or ConfigError if it cannot get a token.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._pause_until = -math.inf
        self._lock = threading.Lock()
        self._opened: Connection | None = None
        self._stored_rows = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries in one transaction, which is committed on return."""
        batch = Batch()
        for entry in entries:
            batch.add(decode_entry(entry))
        with self._lock:
            if self._clock() < self._pause_until:
                raise LogError("PostgreSQL did not accept the prediction log a moment ago: retry in a few seconds")
            try:
                self._store(batch)
            except (psycopg.Error, UpstreamError, ConfigError) as error:
                self._close()
                self._pause_until = self._clock() + _PAUSE_SECONDS
                raise LogError(
                    f"PostgreSQL does not accept the prediction log ({_reason(error)}): start it, or correct "
                    "DEPOSIT_DATABASE__WRITER_URL"
                ) from error
            self._stored_rows += sum(entry.rows for entry in entries)

    def state(self) -> SpoolState:
        """Return an empty backlog: no entry ever waits."""
        return SpoolState(0, 0, None, self._stored_rows, 0, 0)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        with self._lock:
            self._close()

    def _store(self, batch: Batch) -> None:
        if self._opened is not None:
            try:
                batch.store(self._opened)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not self._opened.closed:  # the connection works: the server rejected the statement
                    raise
                self._close()
            else:
                return
        self._opened = self._connect()
        prepare(self._opened)
        batch.store(self._opened)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None


def _reason(error: Exception) -> str:
    # not PostgreSQL's message, which may contain customer data
    return type(error).__name__ if isinstance(error, psycopg.Error) else str(error)
