"""The shipper: moves the log from the spool to PostgreSQL, and maintains the tables there.

An entry leaves the spool only after its commit, and adding it again changes nothing: so it may be killed anywhere.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import msgspec
import psycopg

from deposit.database import engine_for
from deposit.errors import ConfigError, SpoolError
from deposit.files import beat
from deposit.log import predictions, staging
from deposit.log.entries import (
    Content,
    Entry,
    RankedBlock,
    ReportedOutcomes,
    ScoredRequest,
    date_from_epoch_us,
    decode_entry,
)
from deposit.log.spool import Spool, SpoolState
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_REPORT_SECONDS = 60.0


class OutageLog:
    """Logs when shipping begins to fail and when it works again, not every attempt."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._failing_since: float | None = None
        self._reported = clock()
        self._rows = 0

    def on_failure(self, error: Exception) -> float:
        """An attempt failed: seconds to wait before the next."""
        if self._failing_since is None:
            self._failing_since = self._clock()
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.error("predictions cannot be shipped and wait in the spool: %s; trying on", reason)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    def on_success(self, rows: int, waiting: int) -> None:
        """A batch, of no rows perhaps, was shipped; so many rows wait."""
        now = self._clock()
        if self._failing_since is not None:
            logger.warning("shipping again after %.0f s; %d rows wait", now - self._failing_since, waiting)
        self._failing_since, self._pause = None, _FIRST_PAUSE
        self._rows += rows
        if self._rows and now - self._reported >= _REPORT_SECONDS:
            logger.info("shipped %d rows in %.0f s; %d wait", self._rows, now - self._reported, waiting)
            self._rows, self._reported = 0, now


_INSERT = """
INSERT INTO public.spool_states (entries, rows, oldest_seconds, bytes, aside_rows, shipped_rows)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def store(connection: psycopg.Connection[Any], state: SpoolState) -> None:
    """Add what the spool holds now. Raises psycopg.Error."""
    oldest = 0.0 if state.oldest_at is None else max(0.0, time.time() - state.oldest_at)
    connection.execute(_INSERT, [state.entries, state.rows, oldest, state.bytes, state.aside_rows, state.shipped_rows])


Connection = psycopg.Connection[tuple[Any, ...]]
Numbered = Sequence[tuple[int, Entry]]

_MAINTENANCE_SECONDS = 3600.0
_STATE_SECONDS = 15.0
_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 5,
    # a host that went away without a word is noticed within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "deposit shipper",
}
_UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, msgspec.MsgspecError)
_UNSTORABLE = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)


def run(settings: Settings, stop: threading.Event) -> None:
    """Ship until stopped, through outages; the batch in hand is finished. Raises ConfigError."""
    address = _address(settings.database)
    spool, outages = Spool.of(settings), OutageLog()
    restored = False
    while not stop.is_set():
        beat(settings.heartbeat_file)
        try:
            if not restored:
                spool.restore()  # what this version could not store, the next one may
                restored = True
            with closing(psycopg.connect(address, **_CONNECT)) as connection:
                _work(connection, spool, settings, outages, stop)
        except (psycopg.Error, SpoolError) as error:
            stop.wait(outages.on_failure(error))
    spool.close()


def ship(connection: Connection, spool: Spool, batch: Numbered) -> None:
    """Store a batch and remove it from the spool; what cannot be stored is set aside. Raises psycopg.Error."""
    rows, readable = Batch(), []
    for seq, entry in batch:
        try:
            rows.add(decode_entry(entry))
        except _UNREADABLE as error:
            _dead_letter(spool, seq, entry, str(error) or type(error).__name__)
        else:
            readable.append((seq, entry))
    try:
        rows.store(connection)
    except _UNSTORABLE as error:
        if len(readable) == 1:
            # not its text, which may quote a customer
            _dead_letter(spool, *readable[0], f"PostgreSQL refuses it ({type(error).__name__})")
            return
        half = len(readable) // 2
        ship(connection, spool, readable[:half])
        ship(connection, spool, readable[half:])
    else:
        spool.remove([seq for seq, _ in readable])


def prepare(connection: Connection) -> None:
    """Make the session's staging tables. Raises psycopg.Error."""
    for table in (predictions.STAGING, staging.OUTCOMES):
        connection.execute(table.create)


class Batch:
    """A batch as rows."""

    def __init__(self) -> None:
        self._days: set[Any] = set()
        self._rows: list[predictions.Row] = []
        self._lists: list[bytes] = []
        self._outcomes: list[staging.Row] = []
        self._traffic: list[staging.Row] = []

    def add(self, content: Content) -> None:
        """Add what an entry held, all or nothing. Raises an error of `_UNREADABLE`."""
        if isinstance(content, ScoredRequest):
            self._rows += predictions.scored_rows(content)
        elif isinstance(content, RankedBlock):
            self._lists.append(predictions.ranked_csv(content))
        elif isinstance(content, ReportedOutcomes):
            self._outcomes += staging.outcome_rows(content)
            return
        else:
            self._traffic += staging.traffic_rows(content)
            return
        self._days.add(date_from_epoch_us(content.event_time))

    def store(self, connection: Connection) -> None:
        """Add everything in one transaction. Raises psycopg.Error."""
        with connection.transaction(), connection.cursor() as cursor:
            if self._days:
                predictions.create_partitions(cursor, self._days)
                predictions.store(cursor, self._rows, self._lists)
            if self._outcomes:
                staging.store_outcomes(cursor, self._outcomes)
            if self._traffic:
                staging.store_traffic(cursor, self._traffic)


def _work(connection: Connection, spool: Spool, settings: Settings, outages: OutageLog, stop: threading.Event) -> None:
    log = settings.log
    prepare(connection)
    maintenance, state = _Timer(_MAINTENANCE_SECONDS), _Timer(_STATE_SECONDS)
    while not stop.is_set():
        beat(settings.heartbeat_file)
        if maintenance.due():
            predictions.maintain_partitions(connection, log.retention_days)
        batch = spool.read(log.ship_rows)
        if batch:
            ship(connection, spool, batch)
        waiting = spool.state()
        outages.on_success(sum(entry.rows for _, entry in batch), waiting.rows)
        if state.due():
            store(connection, waiting)
        # small batches cost as much as large ones
        if waiting.rows < log.ship_rows / 2:
            stop.wait(log.poll_seconds)


class _Timer:
    """Due at once, and then every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def _dead_letter(spool: Spool, seq: int, entry: Entry, reason: str) -> None:
    spool.set_aside(seq, reason)
    logger.critical(
        "entry %d (%s, %d rows) cannot be stored: %s; it is set aside in the spool, and tried again when the shipper "
        "starts",
        seq, entry.kind, entry.rows, reason,
    )  # fmt: skip


def _address(settings: DatabaseSettings) -> str:
    if settings.writer_url is None:
        raise ConfigError("DEPOSIT_DATABASE__WRITER_URL is not set: `deposit up` starts a shipper that has it")
    url = engine_for(settings.writer_url.get_secret_value(), "DEPOSIT_DATABASE__WRITER_URL").url
    if url.get_backend_name() != "postgresql":
        raise ConfigError("DEPOSIT_DATABASE__WRITER_URL must name a PostgreSQL database")
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
