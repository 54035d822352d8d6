"""The log without a spool: what is appended is in PostgreSQL on return.

For a service that is frozen after each answer, as on Lambda: what it had not stored by then, it might never store.
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
    """Stores entries over one connection; any thread may call. Everything raises LogError.

    The connection is opened when first needed. One that has died since, as they do while a function is frozen, is
    replaced once and the entries are sent again, which adds nothing twice. For two seconds after a failure all is
    refused at once: each try at a server that is away takes seconds, of which a request has few.

    Args:
        connect: opens a connection; raises psycopg.Error, and UpstreamError or ConfigError where it gets no token.
        clock: seconds that only go up.
    """

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._pause_until = -math.inf
        self._lock = threading.Lock()
        self._opened: Connection | None = None
        self._stored_rows = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries in one transaction; on return it is committed."""
        batch = Batch()
        for entry in entries:
            batch.add(decode_entry(entry))
        with self._lock:
            if self._clock() < self._pause_until:
                raise LogError("PostgreSQL did not take the prediction log a moment ago")
            try:
                self._store(batch)
            except (psycopg.Error, UpstreamError, ConfigError) as error:
                self._close()
                self._pause_until = self._clock() + _PAUSE_SECONDS
                raise LogError(
                    f"PostgreSQL does not take the prediction log ({_reason(error)}): start it, or correct "
                    "DEPOSIT_DATABASE__WRITER_URL"
                ) from error
            self._stored_rows += sum(entry.rows for entry in entries)

    def state(self) -> SpoolState:
        """Nothing ever waits."""
        return SpoolState(0, 0, None, self._stored_rows, 0, 0)

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            self._close()

    def _store(self, batch: Batch) -> None:
        if self._opened is not None:
            try:
                batch.store(self._opened)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not self._opened.closed:  # the server lives, and has refused
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
    # not PostgreSQL's text, which may quote a customer
    return type(error).__name__ if isinstance(error, psycopg.Error) else str(error)
