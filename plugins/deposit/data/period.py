"""The span of time that a period names: a month or a day, in UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from deposit.errors import ConfigError

_LATE_MONTHS = 2


@dataclass(frozen=True)
class Period:
    """From `start` on and before `end`, as `name`: YYYY-MM or YYYY-MM-DD."""

    name: str
    start: datetime
    end: datetime

    @property
    def is_month(self) -> bool:
        """Whether it is a month rather than a day."""
        return self.start.day == 1 and self.end.day == 1


def parse_period(period: str) -> Period:
    """The span of a month or a day. Raises ConfigError for anything else, and for the calendar's last day."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}", period):
            first = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
            return Period(period, first, (first + timedelta(days=31)).replace(day=1))
        day = datetime.strptime(period, "%Y-%m-%d").replace(tzinfo=UTC)
        return Period(day.date().isoformat(), day, day + timedelta(days=1))
    except ValueError as error:
        raise ConfigError(f"{period!r} is no period: it must look like 2010-05 or 2010-05-17") from error
    except OverflowError as error:
        raise ConfigError(f"{period!r} is no period that ends: name one before 9999-12") from error


def month_number(moment: datetime) -> int:
    """The month of a moment as a number of months, so that two can be subtracted."""
    return moment.year * 12 + moment.month - 1


def month_name(number: int) -> str:
    """The month of such a number, YYYY-MM.

    >>> month_name(month_number(datetime(2010, 5, 17, tzinfo=UTC)))
    '2010-05'
    """
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def periods_due(today: date) -> list[str]:
    """The months that a night looks at: that of the day before, and two before it, since outcomes come late."""
    yesterday = today - timedelta(days=1)
    last = yesterday.year * 12 + yesterday.month - 1
    return list(map(month_name, range(last - _LATE_MONTHS, last + 1)))
