"""Traffic on its way to PostgreSQL: counts of the spool as rows of the table `traffic`."""

from collections.abc import Sequence
from typing import Any

from psycopg import Cursor

from deposit.monitoring.entries import Traffic
from deposit.monitoring.moments import moment

_INSERT = """
INSERT INTO public.traffic
    (at, instance, route, status, client, model_id, requests, seconds, latency_upto, latency_count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

Row = tuple[Any, ...]


def traffic_rows(told: Traffic) -> list[Row]:
    """A row for each count. Raises ValueError for a histogram whose parts do not fit."""
    return [
        (
            moment(told.at), told.instance, count.route, count.status, count.client, count.model_id,
            _requests(count.latency_upto, count.latency_count), count.seconds, count.latency_upto, count.latency_count,
        )
        for count in told.counts
    ]  # fmt: skip


def store(cursor: Cursor[Any], rows: Sequence[Row]) -> None:
    """Add the rows that are not there yet. Raises psycopg.Error."""
    cursor.executemany(_INSERT, rows)


def _requests(upto: list[float], count: list[int]) -> int:
    if len(upto) != len(count):
        raise ValueError("the histogram has not as many counts as buckets")
    return sum(count)
