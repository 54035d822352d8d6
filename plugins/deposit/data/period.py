"""Periods: months and days in UTC as time spans. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from deposit.errors import ConfigError

_LATE_MONTHS = 2


@dataclass(frozen=True)
class Period:
    """A time span from `start` (inclusive) to `end` (exclusive), named YYYY-MM or YYYY-MM-DD."""

    name: str
    start: datetime
    end: datetime

    @property
    def is_month(self) -> bool:
        """Whether the period is a month, not a day."""
        return self.start.day == 1 and self.end.day == 1


def parse_period(period: str) -> Period:
    """Parse a month or a day. Raises ConfigError for any other text, and if the period ends after the year 9999."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}", period):
            first = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
            return Period(period, first, (first + timedelta(days=31)).replace(day=1))
        day = datetime.strptime(period, "%Y-%m-%d").replace(tzinfo=UTC)
        return Period(day.date().isoformat(), day, day + timedelta(days=1))
    except ValueError as error:
        raise ConfigError(f"{period!r} is not a period: it must look like 2010-05 or 2010-05-17") from error
    except OverflowError as error:
        raise ConfigError(f"the period {period!r} ends after the year 9999: name one before 9999-12") from error


def month_number(moment: datetime) -> int:
    """Number the month of a timestamp, so that two months can be subtracted."""
    return moment.year * 12 + moment.month - 1


def month_name(number: int) -> str:
    """The month with a number of `month_number`, as YYYY-MM.

    >>> month_name(month_number(datetime(2010, 5, 17, tzinfo=UTC)))
    '2010-05'
    """
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def periods_due(today: date) -> list[str]:
    """Months that a nightly run covers: yesterday's and the two before it, because outcomes arrive late."""
    yesterday = today - timedelta(days=1)
    last = yesterday.year * 12 + yesterday.month - 1
    return list(map(month_name, range(last - _LATE_MONTHS, last + 1)))
