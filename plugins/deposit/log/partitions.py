"""The days of the table `predictions`, made before they are needed; and an end for all that is old."""

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

logger = logging.getLogger(__name__)

_DAYS_AHEAD = 7


def create_partitions(cursor: psycopg.Cursor[Any], days: Iterable[date]) -> None:
    """Make the partitions that are missing. Raises psycopg.DataError for a day far from today."""
    cursor.execute("SELECT public.make_prediction_days(%s)", [sorted(days)])


def maintain_partitions(connection: psycopg.Connection[Any], retention_days: int | None) -> None:
    """Make the coming days and, with a retention, drop what was stored longer ago. Raises psycopg.Error."""
    today = datetime.now(UTC).date()
    with connection.cursor() as cursor:
        create_partitions(cursor, [today + timedelta(days) for days in range(_DAYS_AHEAD + 1)])
        if retention_days is not None:
            _drop_old(cursor, retention_days)


def _drop_old(cursor: psycopg.Cursor[Any], retention_days: int) -> None:
    try:
        while dropped := _scalar(cursor, "SELECT public.drop_prediction_day(%s)", retention_days):
            logger.info("dropped %s: all of it was stored more than %d days ago", dropped, retention_days)
    except psycopg.errors.LockNotAvailable:
        logger.warning("old predictions are in use and not dropped yet; trying again in an hour")
    gone = _scalar(cursor, "SELECT public.drop_old_outcomes(%s)", retention_days)
    if gone:
        logger.info("dropped %d outcomes that were stored more than %d days ago", gone, retention_days)
    _scalar(cursor, "SELECT public.drop_old_traffic(%s)", retention_days)


def _scalar(cursor: psycopg.Cursor[Any], query: str, value: int) -> Any:
    row = cursor.execute(query, [value]).fetchone()
    return row[0] if row else None
