"""Entries as rows: what an entry of the log becomes in PostgreSQL, and the transaction that adds it.

Needs no SQLAlchemy, so that a service can do it too.
"""

from typing import Any

import msgspec
import psycopg

from deposit.log import predictions, staging
from deposit.log.entries import Content, RankedBlock, ReportedOutcomes, ScoredRequest, date_from_epoch_us

Connection = psycopg.Connection[tuple[Any, ...]]
UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, msgspec.MsgspecError)
"""What an entry raises that cannot become rows."""
UNSTORABLE = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
"""What PostgreSQL raises for rows that it will refuse again."""


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
        """Add what an entry held, all or nothing. Raises an error of `UNREADABLE`."""
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
