from datetime import UTC, date, datetime

import pytest

from deposit.data.period import parse_period, periods_due
from deposit.errors import ConfigError


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("2010-05", datetime(2010, 5, 1, tzinfo=UTC), datetime(2010, 6, 1, tzinfo=UTC)),
        ("2009-12", datetime(2009, 12, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC)),
        ("1969-12", datetime(1969, 12, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC)),
        ("9999-11", datetime(9999, 11, 1, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=UTC)),
        ("9999-12-30", datetime(9999, 12, 30, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        ("2012-02-29", datetime(2012, 2, 29, tzinfo=UTC), datetime(2012, 3, 1, tzinfo=UTC)),
    ],
)
def test_months_and_days(period: str, start: datetime, end: datetime) -> None:
    span = parse_period(period)
    assert (span.name, span.start, span.end) == (period, start, end)


@pytest.mark.parametrize(
    "period", ["", "2010", "2010-13", "2010-02-30", "may", "2010-5-1-1", "0000-01", "0000-01-01", "2010-05'; --"]
)
def test_anything_else_is_refused(period: str) -> None:
    with pytest.raises(ConfigError, match="it must look like 2010-05 or 2010-05-17"):
        parse_period(period)


@pytest.mark.parametrize("period", ["9999-12", "9999-12-31"])
def test_a_period_that_no_calendar_ends_is_refused(period: str) -> None:
    with pytest.raises(ConfigError, match="name one before 9999-12"):
        parse_period(period)


def test_a_night_looks_at_the_day_before_and_at_late_outcomes() -> None:
    assert periods_due(date(2010, 3, 1)) == ["2009-12", "2010-01", "2010-02"]
    assert periods_due(date(2010, 3, 2)) == ["2010-01", "2010-02", "2010-03"]
