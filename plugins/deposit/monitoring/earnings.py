"""Profits of recent months, read from the table `metrics`; needs no numerical library."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from deposit.model.worth import Worth, worths_of
from deposit.registry.model_ids import registered_name

_RATES = "profit_rates"
_PROFITS = text("""
SELECT period, model_id, jsonb_object_agg(name, value) AS profits FROM monthly_metrics
WHERE starts_with(name, 'profit') AND "column" = ''
GROUP BY period, model_id HAVING bool_or(name = 'profit_random') ORDER BY period DESC, model_id LIMIT 200
""")


@dataclass(frozen=True)
class MonthWorth:
    """Profit of a model's calls in a month next to the alternatives, as far as outcomes are known."""

    period: str
    model_id: str
    worth: Worth


def latest_worths(connection: Connection, capacity: int | None, months: int) -> list[MonthWorth]:
    """Profits of the newest months, for the registered model that predicted in the newest; at capacity if there is one.

    Months monitored before these profits were computed are left out.
    """
    rows = connection.execute(_PROFITS).all()
    if not rows:
        return []
    ours = [row for row in rows if registered_name(row[1]) == registered_name(rows[0][1])]
    newest = sorted({period for period, *_ in ours}, reverse=True)[:months]
    limit = {} if capacity is None else {"capacity": float(capacity)}
    return [
        MonthWorth(period, model_id, worth)
        for period, model_id, profits in ours
        if period in newest
        for worth in worths_of(profits | limit, _of_rates(profits))
        if (worth.capacity is None) == (capacity is None)
    ]


def _of_rates(profits: Mapping[str, float]) -> dict[str, float]:
    return {f"profit{name.removeprefix(_RATES)}": value for name, value in profits.items() if name.startswith(_RATES)}
