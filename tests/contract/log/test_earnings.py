from typing import Any

import pytest
from sqlalchemy import insert

from deposit.database import transaction
from deposit.monitoring.earnings import MonthWorth, latest_worths
from deposit.monitoring.metric_rows import MetricRow
from deposit.tables import metrics

pytestmark = pytest.mark.servers

PROFITS = {
    "profit": 100.0, "profit_low": 70.0, "profit_high": 130.0, "profit_expected": 90.0, "profit_random": 40.0,
    "profit_call_everyone": 150.0, "profit_oracle": 300.0,
}  # fmt: skip
LIMITED = {
    f"{name.removesuffix(bound)}_at_capacity{bound}": value / 2
    for name, value in PROFITS.items()
    for bound in [next((each for each in ("_low", "_high") if name.endswith(each)), "")]
}


def _store(log: Any, period: str, scope: str, profits: dict[str, float]) -> None:
    with transaction(log.settings.database) as connection:
        rows = [{"period": period, **vars(MetricRow(scope, name, value))} for name, value in profits.items()]
        connection.execute(insert(metrics), rows)


def _latest(log: Any, capacity: int | None = None, months: int = 2) -> list[MonthWorth]:
    with transaction(log.settings.database) as connection:
        return latest_worths(connection, capacity, months)


def test_the_newest_months_of_the_model_that_answered_last_are_read_back(log: Any) -> None:
    assert _latest(log) == []
    for period, scope in (
        ("2010-05", "deposit-v1"), ("2010-06", "deposit-v1"), ("2010-06", "deposit-v2"), ("2010-07", "deposit-v2"),
        ("2010-06", "replay-v1"), ("2010-08-01", "deposit-v2"),
    ):  # fmt: skip
        _store(log, period, scope, PROFITS | LIMITED)
    _store(
        log, "2010-07", "deposit-v2", {"profit_rates": 80.0, "profit_rates_low": 1.0, "profit_rates_at_capacity": 20.0}
    )
    _store(log, "2010-07", "deposit-v1", {"profit": 5.0, "profit_low": 1.0, "profit_high": 9.0})  # of an older version
    seen = _latest(log)
    assert [(each.period, each.model_id) for each in seen] == [
        ("2010-07", "deposit-v2"), ("2010-06", "deposit-v1"), ("2010-06", "deposit-v2"),
    ]  # fmt: skip
    worth = seen[0].worth
    assert (worth.profit, worth.low, worth.high, worth.everyone, worth.capacity) == (100.0, 70.0, 130.0, 150.0, None)
    assert [each.worth.rates for each in seen] == [80.0, None, None]
    limited = [each.worth for each in _latest(log, capacity=500)]
    assert [each.rates for each in limited] == [20.0, None, None]
    assert [(each.profit, each.low, each.oracle, each.capacity) for each in limited] == [(50.0, 35.0, 150.0, 500.0)] * 3
