"""Receipts of outcomes by day and client: how many predictions they name, and how many of these do not exist."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from deposit.data.period import Period

_GRACE_DAYS = 1
"""An outcome may be stored before its prediction."""
_COUNT = text("""
WITH reported AS (
    SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date AS day, client, prediction_id
    FROM outcomes WHERE received_at >= :start AND received_at < :end
), unknown AS (
    SELECT day, client, count(*) AS number FROM reported
    WHERE prediction_id >= :oldest AND (:all_kept OR substr(prediction_id::text, 15, 1) = '7')
      AND NOT EXISTS (SELECT FROM predictions WHERE predictions.prediction_id = reported.prediction_id)
    GROUP BY day, client
)
SELECT day, client, count(*) AS received, coalesce(max(number), 0) AS unknown
FROM reported LEFT JOIN unknown USING (day, client)
GROUP BY day, client
ORDER BY day, client
""")


@dataclass(frozen=True)
class Receipt:
    """Outcomes that a client reported on a day, one per prediction; `unknown` counts those without a prediction."""

    day: date
    client: str
    received: int
    unknown: int


@dataclass(frozen=True)
class Days:
    """Whole days from `first` up to but excluding `end`; none if they are equal.

    Args:
        first: first day.
        end: day after the last.
        oldest: lowest id whose prediction is certainly retained; older ones may have been dropped or archived.
        all_kept: whether nothing is archived; otherwise ids without a timestamp, as in batch scoring, may be archived
            too.
    """

    first: date
    end: date
    oldest: UUID
    all_kept: bool = True


def settled(span: Period, now: datetime, retention_days: int | None, archived_until: datetime | None = None) -> Days:
    """The days of a period that ended more than a day before `now` and whose outcomes are all retained.

    `archived_until` is when the newest archived prediction was stored.
    """
    end = min(span.end.date(), now.date() - timedelta(days=_GRACE_DAYS))
    first, oldest = span.start.date(), UUID(int=0)
    if retention_days is not None:
        first = max(first, date.fromordinal(max(1, now.toordinal() - retention_days + 1)))
        oldest = _first_id(int(now.timestamp() * 1000) - retention_days * 86_400_000)
    if archived_until is not None:
        oldest = max(oldest, _first_id(int(archived_until.timestamp() * 1000) + 1))
    return Days(min(first, end), end, oldest, archived_until is None)


def count(connection: Connection, days: Days) -> list[Receipt]:
    """Count the outcomes of some days, by day of receipt and client."""
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (days.first, days.end))
    rows = connection.execute(_COUNT, {"start": start, "end": end, "oldest": days.oldest, "all_kept": days.all_kept})
    return [Receipt(*row) for row in rows]


def _first_id(millisecond: int) -> UUID:
    """The lowest UUIDv7 of a millisecond: these ids begin with the millisecond of their creation."""
    return UUID(bytes=max(0, millisecond).to_bytes(6, "big") + bytes(10))
