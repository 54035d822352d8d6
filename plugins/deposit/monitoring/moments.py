"""Moments of the log, µs since the epoch in UTC, as PostgreSQL reads them."""

from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """Exact, other than by a float of seconds. Raises OverflowError for what no calendar has."""
    return _EPOCH + timedelta(microseconds=microseconds)


def day_of(microseconds: int) -> date:
    """The day in UTC."""
    return moment(microseconds).date()


def microseconds(when: datetime) -> int:
    """The opposite of `moment`, for a time with an offset."""
    return (when - _EPOCH) // timedelta(microseconds=1)
