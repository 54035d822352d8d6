"""What is counted of a day's outcomes in a real PostgreSQL, and what becomes of what was counted before."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from deposit.data.period import Period, parse_period
from deposit.database import connect
from deposit.monitoring import metric_rows, receipts
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.receipts import Receipt
from deposit.sections import DatabaseSettings

pytestmark = pytest.mark.servers

DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = DAY + timedelta(days=20)
MONTH = parse_period("2026-03")
FIGURES = """
SELECT period, name, "column", value FROM metrics
WHERE scope = 'service' AND starts_with(name, 'outcomes') ORDER BY 1, 3, 2
"""


@pytest.fixture
def engine(log: Any) -> Iterator[Engine]:
    log.ask("TRUNCATE metrics")
    made = connect(DatabaseSettings(url=log.addresses.owner))
    yield made
    made.dispose()


@pytest.fixture
def state(log: Any, stated: Callable[..., Any]) -> Callable[..., None]:
    """States outcomes of predictions, received at a moment."""

    def state(ids: list[UUID], received: datetime, subscribed: bool = True) -> None:
        log.append(stated(*((prediction, subscribed, None) for prediction in ids), received=received))
        log.ship()

    return state


@pytest.fixture
def predict(log: Any, scored: Callable[..., Any]) -> Callable[[int], list[UUID]]:
    """Makes predictions; their ids."""

    def predict(rows: int) -> list[UUID]:
        request = scored(rows)
        log.append(request)
        log.ship()
        return [UUID(bytes=request.prediction_ids[at : at + 16]) for at in range(0, 16 * rows, 16)]

    return predict


def count(engine: Engine, span: Period, now: datetime = NOW, retention_days: int | None = None) -> list[Receipt]:
    """As monitoring does it."""
    with engine.begin() as connection:
        days = receipts.settled(span, now, retention_days)
        counted = receipts.count(connection, days)
        metric_rows.replace(connection, span.name, "deposit", [MetricRow(metric_rows.SERVICE, "requests", 1.0)])
        metric_rows.replace_receipts(connection, days, counted, 0.05)
    return counted


def test_predictions_that_nobody_made_are_counted_by_day_and_client(
    log: Any, engine: Engine, state: Callable[..., None], predict: Callable[[int], list[UUID]]
) -> None:
    real, strange = predict(3), [uuid4(), uuid4()]
    state([*real, strange[0]], DAY)
    # said again, corrected: still one prediction
    state([real[0], strange[0]], DAY + timedelta(hours=23, minutes=59), subscribed=False)
    state([strange[1]], DAY + timedelta(days=1))
    log.ask("UPDATE outcomes SET client = 'crm' WHERE prediction_id = %s", strange[1])
    day, next_day = DAY.date(), DAY.date() + timedelta(days=1)
    assert count(engine, MONTH) == [Receipt(day, "branch", 4, 1), Receipt(next_day, "crm", 1, 1)]
    assert log.ask(FIGURES) == [
        ("2026-03-02", "outcomes_received", "branch", 4.0),
        ("2026-03-02", "outcomes_unknown", "branch", 1.0),
        ("2026-03-02", "outcomes_unknown_limit", "branch", 0.05),
        ("2026-03-03", "outcomes_received", "crm", 1.0),
        ("2026-03-03", "outcomes_unknown", "crm", 1.0),
        ("2026-03-03", "outcomes_unknown_limit", "crm", 0.05),
    ]
    assert log.ask("SELECT at, client, received, unknown, unknown_limit FROM daily_outcomes ORDER BY at") == [
        (DAY, "branch", 4.0, 1.0, 0.05),
        (DAY + timedelta(days=1), "crm", 1.0, 1.0, 0.05),
    ]


def test_a_repeat_counts_anew_and_a_day_monitored_alone_loses_nothing(
    log: Any,
    engine: Engine,
    state: Callable[..., None],
    predict: Callable[[int], list[UUID]],
    scored: Callable[..., Any],
) -> None:
    late = scored(1)
    state([UUID(bytes=late.prediction_ids), *predict(1)], DAY)
    state(predict(1), DAY + timedelta(days=1))
    count(engine, MONTH)
    before = log.ask(FIGURES)
    assert ("2026-03-02", "outcomes_unknown", "branch", 1.0) in before
    log.append(late)
    log.ship()
    count(engine, parse_period("2026-03-03"))
    assert log.ask(FIGURES) == before
    # a day that is not over keeps what was counted, and so does one whose outcomes have been dropped
    for span, now, retention in ((parse_period("2026-03-02"), DAY, None), (parse_period("2026-03-02"), NOW, 5)):
        assert count(engine, span, now, retention) == []
        assert log.ask(FIGURES) == before
    count(engine, parse_period("2026-03-02"))
    assert ("2026-03-02", "outcomes_unknown", "branch", 0.0) in log.ask(FIGURES)
    log.ask("DELETE FROM outcomes WHERE received_at >= %s", DAY + timedelta(days=1))
    count(engine, MONTH)
    assert {period for period, *_ in log.ask(FIGURES)} == {"2026-03-02"}


def test_what_the_retention_may_have_dropped_is_not_unknown(engine: Engine, state: Callable[..., None]) -> None:
    kept = receipts.settled(MONTH, NOW, 30).oldest
    state([UUID(int=kept.int - 1), UUID(int=kept.int + 1)], DAY)
    (forgetful,), (certain,) = count(engine, MONTH, NOW, 30), count(engine, MONTH)
    assert (forgetful.received, forgetful.unknown) == (2, 1)
    assert (certain.received, certain.unknown) == (2, 2)
