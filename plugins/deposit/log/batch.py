"""Conversion of log entries to rows, and the transaction that inserts a batch of them.

Does not import SQLAlchemy, so that a service can use it as well.
"""

from typing import Any

import msgspec
import psycopg

from deposit.log import predictions, staging
from deposit.log.entries import Content, RankedBlock, ReportedOutcomes, ScoredRequest, date_from_epoch_us

Connection = psycopg.Connection[tuple[Any, ...]]
UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, msgspec.MsgspecError)
"""Errors raised while an entry is decoded: it cannot be converted to rows."""
UNSTORABLE = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
"""Errors raised by PostgreSQL for rows that would be rejected on every retry."""


def prepare(connection: Connection) -> None:
    """Create the staging tables of a session. Raises psycopg.Error."""
    for table in (predictions.STAGING, staging.OUTCOMES):
        connection.execute(table.create)


class Batch:
    """Rows of several entries, stored in one transaction."""

    def __init__(self) -> None:
        self._days: set[Any] = set()
        self._rows: list[bytes] = []
        self._lists: list[bytes] = []
        self._outcomes: list[staging.Row] = []
        self._traffic: list[staging.Row] = []

    def add(self, content: Content) -> None:
        """Add the rows of one entry, all or none. Raises one of `UNREADABLE`."""
        if isinstance(content, ScoredRequest | RankedBlock):
            day = date_from_epoch_us(content.event_time)
            if isinstance(content, ScoredRequest):
                self._rows.append(predictions.scored_rows(content))
            else:
                self._lists.append(predictions.ranked_csv(content))
            self._days.add(day)
        elif isinstance(content, ReportedOutcomes):
            self._outcomes += staging.outcome_rows(content)
        else:
            self._traffic += staging.traffic_rows(content)

    def store(self, connection: Connection) -> None:
        """Insert all rows in one transaction. Raises psycopg.Error."""
        try:
            self._store(connection, some_stored=False)
        except psycopg.errors.UniqueViolation:
            # the previous shipper was killed after its commit and before it removed the entries from the spool, or two
            # replicas recorded the same request
            self._store(connection, some_stored=True)

    def _store(self, connection: Connection, *, some_stored: bool) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            if self._days:
                predictions.create_partitions(cursor, self._days)
                predictions.store(cursor, self._rows, self._lists, some_stored=some_stored)
            if self._outcomes:
                staging.store_outcomes(cursor, self._outcomes)
            if self._traffic:
                staging.store_traffic(cursor, self._traffic)
