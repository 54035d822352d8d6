"""The shipper: moves the log from the spool to PostgreSQL, and keeps house there.

An entry leaves the spool only after its commit, and adding it again changes nothing: so it may be killed anywhere.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import msgspec
import psycopg

from deposit.database import engine_for
from deposit.errors import ConfigError, SpoolError
from deposit.heartbeat import beat
from deposit.monitoring import housekeeping, outcomes, predictions, spoolstates, traffic
from deposit.monitoring.entries import Content, Entry, RankedBlock, ScoredRequest, StatedOutcomes, decode_entry
from deposit.monitoring.journal import Journal
from deposit.monitoring.moments import day_of
from deposit.monitoring.spool import Spool
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

logger = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]
Numbered = Sequence[tuple[int, Entry]]

_HOUSEKEEPING_SECONDS = 3600.0
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
    spool, journal = Spool.of(settings), Journal()
    restored = False
    while not stop.is_set():
        beat(settings)
        try:
            if not restored:
                spool.restore()  # what this version could not store, the next one may
                restored = True
            with closing(psycopg.connect(address, **_CONNECT)) as connection:
                _work(connection, spool, settings, journal, stop)
        except (psycopg.Error, SpoolError) as error:
            stop.wait(journal.failed(error))
    spool.close()


def ship(connection: Connection, spool: Spool, batch: Numbered) -> None:
    """Store a batch and remove it from the spool; what cannot be stored is set aside. Raises psycopg.Error."""
    gathered, readable = Gathered(), []
    for seq, entry in batch:
        try:
            gathered.add(decode_entry(entry))
        except _UNREADABLE as error:
            _set_aside(spool, seq, entry, str(error) or type(error).__name__)
        else:
            readable.append((seq, entry))
    try:
        gathered.store(connection)
    except _UNSTORABLE as error:
        if len(readable) == 1:
            # not its text, which may quote a customer
            _set_aside(spool, *readable[0], f"PostgreSQL refuses it ({type(error).__name__})")
            return
        half = len(readable) // 2
        ship(connection, spool, readable[:half])
        ship(connection, spool, readable[half:])
    else:
        spool.remove([seq for seq, _ in readable])


def prepare(connection: Connection) -> None:
    """Make the session's staging tables. Raises psycopg.Error."""
    for staging in (predictions.STAGING, outcomes.STAGING):
        connection.execute(staging.create)


class Gathered:
    """A batch as rows."""

    def __init__(self) -> None:
        self._days: set[Any] = set()
        self._rows: list[predictions.Row] = []
        self._lists: list[bytes] = []
        self._outcomes: list[outcomes.Row] = []
        self._traffic: list[traffic.Row] = []

    def add(self, content: Content) -> None:
        """Add what an entry held, all or nothing. Raises an error of `_UNREADABLE`."""
        if isinstance(content, ScoredRequest):
            self._rows += predictions.scored_rows(content)
        elif isinstance(content, RankedBlock):
            self._lists.append(predictions.ranked_csv(content))
        elif isinstance(content, StatedOutcomes):
            self._outcomes += outcomes.outcome_rows(content)
            return
        else:
            self._traffic += traffic.traffic_rows(content)
            return
        self._days.add(day_of(content.event_time))

    def store(self, connection: Connection) -> None:
        """Add everything in one transaction. Raises psycopg.Error."""
        with connection.transaction(), connection.cursor() as cursor:
            if self._days:
                housekeeping.make_days(cursor, self._days)
                predictions.store(cursor, self._rows, self._lists)
            if self._outcomes:
                outcomes.store(cursor, self._outcomes)
            if self._traffic:
                traffic.store(cursor, self._traffic)


def _work(connection: Connection, spool: Spool, settings: Settings, journal: Journal, stop: threading.Event) -> None:
    log = settings.log
    prepare(connection)
    house, state = _Timer(_HOUSEKEEPING_SECONDS), _Timer(_STATE_SECONDS)
    while not stop.is_set():
        beat(settings)
        if house.due():
            housekeeping.keep_house(connection, log.retention_days)
        batch = spool.read(log.ship_rows)
        if batch:
            ship(connection, spool, batch)
        waiting = spool.state()
        journal.worked(sum(entry.rows for _, entry in batch), waiting.rows)
        if state.due():
            spoolstates.store(connection, waiting)
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


def _set_aside(spool: Spool, seq: int, entry: Entry, reason: str) -> None:
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
