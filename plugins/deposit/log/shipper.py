"""The shipper: moves log entries from the spools to PostgreSQL, and maintains the tables there.

An entry is removed from the spool only after its transaction is committed, and inserts are idempotent, so the shipper
can be killed at any point.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, Protocol

import psycopg

from deposit.errors import DepositError, SpoolError, UpstreamError
from deposit.files import beat
from deposit.log import predictions
from deposit.log.batch import UNREADABLE, UNSTORABLE, Batch, Connection, prepare
from deposit.log.entries import Entry, decode_entry
from deposit.log.handover import Handover, leave_rest
from deposit.log.pace import Pace
from deposit.log.spool import Spool
from deposit.log.spools import SpoolFolder, store_state
from deposit.log.writer import writer_parameters
from deposit.sections import DatabaseSettings, LogSettings
from deposit.settings import Settings

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_REPORT_SECONDS = 60.0


class OutageLog:
    """Logs the start and the end of an outage instead of every failed attempt."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._failing_since: float | None = None
        self._reported = clock()
        self._rows = 0

    def on_failure(self, error: Exception) -> float:
        """Record a failed attempt; returns the seconds to wait before the next one."""
        if self._failing_since is None:
            self._failing_since = self._clock()
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.error("predictions cannot be shipped and wait in the spool: %s; retrying until it works", reason)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    @property
    def seconds(self) -> float:
        """Duration of the current outage; 0 if there is none."""
        return 0.0 if self._failing_since is None else self._clock() - self._failing_since

    def on_success(self, rows: int, waiting: int) -> None:
        """Record a successful attempt: number of rows shipped (possibly 0), and number still waiting."""
        now = self._clock()
        if self._failing_since is not None:
            logger.warning("shipping again after %.0f s; %d rows wait", now - self._failing_since, waiting)
        self._failing_since, self._pause = None, _FIRST_PAUSE
        self._rows += rows
        if self._rows and now - self._reported >= _REPORT_SECONDS:
            logger.info("shipped %d rows in %.0f s; %d wait", self._rows, now - self._reported, waiting)
            self._rows, self._reported = 0, now


NumberedEntries = Sequence[tuple[int, Entry]]


class EntrySource(Protocol):
    """Source of numbered entries: a spool, or an object of the handover."""

    def remove(self, seqs: Sequence[int]) -> None:
        """Remove entries that are stored."""

    def set_aside(self, seq: int, reason: str) -> None:
        """Take an entry that cannot be stored out of the queue, and keep it."""


_MAINTENANCE_SECONDS = 3600.0
_STATE_SECONDS = 15.0
_HANDOVER_SECONDS = 60.0
_OUTAGE_SECONDS = 60.0
"""Duration of an outage after which the spools are moved to the object store: the disk may be lost with its host."""
_DRAIN_PAUSE_SECONDS = 0.5
_CONNECT: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 5,
    # detect a host that disappeared within half a minute
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "deposit shipper",
}


def run(settings: Settings, stop: threading.Event) -> None:
    """Ship until `stop` is set, retrying through outages, then drain for `stop_seconds`. Raises ConfigError."""
    writer_parameters(settings.database)
    spools, outages, handover = SpoolFolder(settings), OutageLog(), Handover.of(settings.log, settings.store)
    restored = False
    while not stop.is_set():
        beat(settings.heartbeat_file)
        try:
            if not restored:
                spools.restore()  # a new version may be able to store entries that the previous one set aside
                restored = True
            with closing(_open_connection(settings.database)) as connection:
                _work(connection, spools, handover, settings, outages, stop)
        except (psycopg.Error, SpoolError, UpstreamError) as error:
            pause = outages.on_failure(error)
            if handover and outages.seconds >= _OUTAGE_SECONDS:
                _leave_rest(handover, spools, settings.log)
            stop.wait(pause)
    _finish(spools, handover, settings)
    spools.close()


def _finish(spools: SpoolFolder, handover: Handover | None, settings: Settings) -> None:
    """Ship the remaining entries for at most `stop_seconds`, then hand the rest over to the next shipper."""
    log, end = settings.log, time.monotonic() + settings.log.stop_seconds
    with suppress(psycopg.Error, SpoolError, UpstreamError):  # logged by `run` before, or by `_leave_rest` below
        while time.monotonic() < end and spools.state().entries:
            with suppress(psycopg.Error), closing(_open_connection(settings.database)) as connection:
                prepare(connection)
                while time.monotonic() < end and any(_ship_next(connection, each, log) for each in spools.spools()):
                    pass
            time.sleep(_DRAIN_PAUSE_SECONDS)
    if handover:
        _leave_rest(handover, spools, settings.log)


def _leave_rest(handover: Handover, spools: SpoolFolder, log: LogSettings) -> None:
    for spool in spools.spools():
        leave_rest(handover, spool, log.ship_rows)


def ship(connection: Connection, spool: EntrySource, batch: NumberedEntries) -> None:
    """Store a batch and remove it from its source; entries that cannot be stored are set aside. Raises psycopg.Error.

    If PostgreSQL rejects a batch, it is split in half recursively until the offending entry is found.
    """
    rows, readable = Batch(), []
    for seq, entry in batch:
        try:
            rows.add(decode_entry(entry))
        except UNREADABLE as error:
            _dead_letter(spool, seq, entry, str(error) or type(error).__name__)
        else:
            readable.append((seq, entry))
    try:
        rows.store(connection)
    except UNSTORABLE as error:
        if len(readable) == 1:
            # not its message, which may contain customer data
            _dead_letter(spool, *readable[0], f"PostgreSQL rejects it ({type(error).__name__})")
            return
        half = len(readable) // 2
        ship(connection, spool, readable[:half])
        ship(connection, spool, readable[half:])
    else:
        spool.remove([seq for seq, _ in readable])


def _ship_next(connection: Connection, spool: Spool, log: LogSettings) -> int:
    """Ship one batch of a spool and return its number of rows, 0 if it is empty. Raises psycopg.Error, SpoolError."""
    if batch := spool.read(log.ship_rows):
        ship(connection, spool, batch)
    return sum(entry.rows for _, entry in batch)


def _work(
    connection: Connection,
    spools: SpoolFolder,
    handover: Handover | None,
    settings: Settings,
    outages: OutageLog,
    stop: threading.Event,
) -> None:
    log, pace = settings.log, Pace(settings.log)
    prepare(connection)
    maintenance, state, takeover = _Timer(_MAINTENANCE_SECONDS), _Timer(_STATE_SECONDS), _Timer(_HANDOVER_SECONDS)
    while not stop.is_set():
        beat(settings.heartbeat_file)
        if maintenance.due():
            predictions.maintain_partitions(connection, log.retention_days)
        pace.begin()
        shipped = sum(_ship_next(connection, spool, log) for spool in spools.spools())
        waiting = spools.state()
        outages.on_success(shipped, waiting.rows)
        if state.due():
            store_state(connection, waiting)
        if handover and takeover.due():
            _take_over(connection, handover, stop)
        stop.wait(pace.rest(waiting))


def _take_over(connection: Connection, handover: Handover, stop: threading.Event) -> None:
    """Ship the objects that other shippers left. Raises psycopg.Error; errors of the store are logged and retried."""
    try:
        for key in handover.waiting():
            taken = None if stop.is_set() else handover.read(key)
            if taken is not None:
                ship(connection, taken, taken.batch)
                handover.finish(key, taken)
    except DepositError as error:
        logger.error("entries that other shippers left in the object store cannot be shipped yet: %s", error)


class _Timer:
    """Due immediately, then every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def _dead_letter(spool: EntrySource, seq: int, entry: Entry, reason: str) -> None:
    spool.set_aside(seq, reason)
    logger.critical(
        "entry %d (%s, %d rows) cannot be stored: %s; it is set aside in the spool and retried when the shipper starts",
        seq, entry.kind, entry.rows, reason,
    )  # fmt: skip


def _open_connection(database: DatabaseSettings) -> Connection:
    # parameters are computed for each connection: an IAM token is valid for minutes only
    return psycopg.connect(**writer_parameters(database), **_CONNECT)
