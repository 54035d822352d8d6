from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from deposit.data.period import parse_period
from deposit.monitoring.receipts import settled
from serving.recorder import new_ids

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "first", "end"),
    [
        ("2026-02", date(2026, 2, 1), date(2026, 3, 1)),
        ("2026-03", date(2026, 3, 1), date(2026, 3, 9)),
        ("2026-03-08", date(2026, 3, 8), date(2026, 3, 9)),
        ("2008-11", date(2008, 11, 1), date(2008, 12, 1)),
    ],
)
def test_days_of_a_period_are_counted_once_they_have_been_over_for_a_day(period: str, first: date, end: date) -> None:
    days = settled(parse_period(period), NOW, None)
    assert (days.first, days.end, days.oldest) == (first, end, UUID(int=0))


@pytest.mark.parametrize("period", ["2026-03-09", "2026-03-10", "2026-04"])
@pytest.mark.parametrize("retention_days", [None, 30])
def test_no_other_day_is(period: str, retention_days: int | None) -> None:
    days = settled(parse_period(period), NOW, retention_days)
    assert days.first == days.end


def test_days_whose_outcomes_may_have_been_dropped_keep_what_was_counted() -> None:
    # what was stored before the 8th of February at 2 o'clock is gone
    days = settled(parse_period("2026-02"), NOW, 30)
    assert (days.first, days.end) == (date(2026, 2, 9), date(2026, 3, 1))
    before = settled(parse_period("2026-01"), NOW, 30)
    assert before.first == before.end


def test_an_id_tells_whether_its_prediction_is_surely_kept() -> None:
    now = datetime.now(UTC)
    fresh = UUID(bytes=new_ids(1))
    assert settled(parse_period("2026-02"), now - timedelta(hours=1), 1).oldest < fresh
    assert settled(parse_period("2026-02"), now + timedelta(days=1, hours=1), 1).oldest > fresh
    assert settled(parse_period("2026-02"), now, 10**9).oldest == UUID(int=0)
