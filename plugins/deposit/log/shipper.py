"""The shipper: moves the log from the spools to PostgreSQL, and maintains the tables there.

An entry leaves the spool only after its commit, and adding it again changes nothing: so it may be killed anywhere.
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

    @property
    def seconds(self) -> float:
        """How long it has failed; 0 while it works."""
        return 0.0 if self._failing_since is None else self._clock() - self._failing_since

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


Numbered = Sequence[tuple[int, Entry]]


class EntrySource(Protocol):
    """Where numbered entries came from."""

    def remove(self, seqs: Sequence[int]) -> None:
        """These are stored."""

    def set_aside(self, seq: int, reason: str) -> None:
        """This one cannot be stored, and is kept."""


_MAINTENANCE_SECONDS = 3600.0
_STATE_SECONDS = 15.0
_HANDOVER_SECONDS = 60.0
_OUTAGE_SECONDS = 60.0
"""After which a spool is left in the object store while it waits: a host may be lost with its disk."""
_TURN_SECONDS = 0.5
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


def run(settings: Settings, stop: threading.Event) -> None:
    """Ship until stopped, through outages, and then for as long as a stop may take. Raises ConfigError."""
    writer_parameters(settings.database)
    spools, outages, handover = SpoolFolder(settings), OutageLog(), Handover.of(settings.log, settings.store)
    restored = False
    while not stop.is_set():
        beat(settings.heartbeat_file)
        try:
            if not restored:
                spools.restore()  # what this version could not store, the next one may
                restored = True
            with closing(_connected(settings.database)) as connection:
                _work(connection, spools, handover, settings, outages, stop)
        except (psycopg.Error, SpoolError, UpstreamError) as error:
            pause = outages.on_failure(error)
            if handover and outages.seconds >= _OUTAGE_SECONDS:
                _leave_rest(handover, spools, settings.log)
            stop.wait(pause)
    _finish(spools, handover, settings)
    spools.close()


def _finish(spools: SpoolFolder, handover: Handover | None, settings: Settings) -> None:
    """After the stop: ship for as long as that may take, then leave the rest to the next shipper."""
    log, end = settings.log, time.monotonic() + settings.log.stop_seconds
    with suppress(psycopg.Error, SpoolError, UpstreamError):  # what that is, has been said before or is said below
        while time.monotonic() < end and spools.state().entries:
            with suppress(psycopg.Error), closing(_connected(settings.database)) as connection:
                prepare(connection)
                while time.monotonic() < end and any(_ship_next(connection, each, log) for each in spools.spools()):
                    pass
            time.sleep(_TURN_SECONDS)
    if handover:
        _leave_rest(handover, spools, settings.log)


def _leave_rest(handover: Handover, spools: SpoolFolder, log: LogSettings) -> None:
    for spool in spools.spools():
        leave_rest(handover, spool, log.ship_rows)


def ship(connection: Connection, spool: EntrySource, batch: Numbered) -> None:
    """Store a batch and remove it from the spool; what cannot be stored is set aside. Raises psycopg.Error."""
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
            # not its text, which may quote a customer
            _dead_letter(spool, *readable[0], f"PostgreSQL refuses it ({type(error).__name__})")
            return
        half = len(readable) // 2
        ship(connection, spool, readable[:half])
        ship(connection, spool, readable[half:])
    else:
        spool.remove([seq for seq, _ in readable])


def _ship_next(connection: Connection, spool: Spool, log: LogSettings) -> int:
    """Ship a batch of one spool; its rows, 0 if nothing waits there. Raises psycopg.Error, SpoolError."""
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
    maintenance, state, left = _Timer(_MAINTENANCE_SECONDS), _Timer(_STATE_SECONDS), _Timer(_HANDOVER_SECONDS)
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
        if handover and left.due():
            _take_over(connection, handover, stop)
        stop.wait(pace.rest(waiting))


def _take_over(connection: Connection, handover: Handover, stop: threading.Event) -> None:
    """Ship what others left, one object after the other. Raises psycopg.Error; the store's errors wait for the next."""
    try:
        for key in handover.waiting():
            taken = None if stop.is_set() else handover.read(key)
            if taken is not None:
                ship(connection, taken, taken.batch)
                handover.finish(key, taken)
    except DepositError as error:
        logger.error("what other shippers left cannot be taken over yet: %s", error)


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


def _dead_letter(spool: EntrySource, seq: int, entry: Entry, reason: str) -> None:
    spool.set_aside(seq, reason)
    logger.critical(
        "entry %d (%s, %d rows) cannot be stored: %s; it is set aside in the spool, and tried again when the shipper "
        "starts",
        seq, entry.kind, entry.rows, reason,
    )  # fmt: skip


def _connected(database: DatabaseSettings) -> Connection:
    # parameters of this moment: a token among them is good for minutes
    return psycopg.connect(**writer_parameters(database), **_CONNECT)
