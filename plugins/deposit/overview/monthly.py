"""Monthly curves of each registered model, from the table `metrics`. Pure functions, except for one query."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from sqlalchemy import Connection, text

from deposit.data.period import month_name, month_number, parse_period
from deposit.model.worth import AT_CAPACITY
from deposit.registry.model_ids import registered_name

MONTHS = 30
"""Number of calendar months to show, up to the newest of a registered model."""
_Z = 1.96
_DRIFT = ("psi", "moved")
_NAMES = (
    "rows", "outcomes_known_share", "rate", "mean_probability", "roc_auc", "roc_auc_low", "roc_auc_high",
    "age_months", "stale_after_months", *_DRIFT,
    *(f"profit{which}{end}" for which in ("", "_call_everyone") for end in ("", AT_CAPACITY)),
    *(f"profit{end}_{bound}" for bound in ("low", "high") for end in ("", AT_CAPACITY)),
)  # fmt: skip
_SELECT = text("""
WITH placed AS (
    SELECT period, model_id, name, "column", value,
           dense_rank() OVER (PARTITION BY regexp_replace(model_id, '-v[0-9]+$', '') ORDER BY period DESC) AS place
    FROM monthly_metrics WHERE name = ANY(:names)
)
SELECT period, model_id, name, "column", value FROM placed WHERE place <= :months
""")


@dataclass(frozen=True)
class Figure:
    """One row of `metrics`: a value for a month and a model; `column` is empty unless the value is of a column."""

    period: str
    model_id: str
    name: str
    column: str
    value: float


class CurveName(StrEnum):
    """Curves that are drawn by month."""

    ROC_AUC = "roc_auc"
    RATE = "rate"
    PROFIT = "profit"


@dataclass(frozen=True)
class Curve:
    """A metric by month, its 95 % interval, and the metric it is compared with (`beside`); None where not known."""

    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    beside: tuple[float | None, ...]

    @property
    def newest(self) -> int | None:
        """Index of the newest month that has a value."""
        return max((place for place, value in enumerate(self.values) if value is not None), default=None)


@dataclass(frozen=True)
class MonthlyFigures:
    """The consecutive months of one registered model.

    Args:
        name: name of the registered model.
        periods: months, oldest first.
        models: for each month, ID of the model that made most predictions; None for a month without predictions.
        curves: curves by name.
        drift: for each column and month, its PSI and whether it has drifted; None for a month without predictions.
    """

    name: str
    periods: tuple[str, ...]
    models: tuple[str | None, ...]
    curves: Mapping[CurveName, Curve]
    drift: Mapping[str, tuple[tuple[float, bool] | None, ...]]

    @property
    def changes(self) -> tuple[int, ...]:
        """Indexes of the months whose model differs from that of the previous month with predictions."""
        places, before = [], None
        for place, model_id in enumerate(self.models):
            if model_id is not None and before is not None and model_id != before:
                places.append(place)
            before = model_id or before
        return tuple(places)


@dataclass(frozen=True)
class ModelAge:
    """Months since the last training month of a model, as recorded by monitoring, and the limits of that age."""

    months: int
    stale_after: int
    replace_after: int

    @property
    def is_stale(self) -> bool:
        """Whether its responses are marked as stale."""
        return self.months > self.stale_after

    @property
    def is_expired(self) -> bool:
        """Whether the rate table replaces it."""
        return self.months > self.replace_after


def read_figures(connection: Connection) -> list[Figure]:
    """Read the metrics of the newest months of each registered model, in no particular order."""
    rows = connection.execute(_SELECT, {"names": list(_NAMES), "months": MONTHS})
    return [Figure(**row) for row in rows.mappings()]


def age_of(figures: Iterable[Figure], model_id: str, replace_after: int) -> ModelAge | None:
    """Return the age of a model in its newest monitored month; None if it was never monitored."""
    months: dict[str, dict[str, float]] = defaultdict(dict)
    for each in figures:
        if each.model_id == model_id and each.name in ("age_months", "stale_after_months"):
            months[each.period][each.name] = each.value
    if not months:
        return None
    newest = months[max(months)]
    return ModelAge(int(newest["age_months"]), int(newest["stale_after_months"]), replace_after)


def by_registered_model(figures: Iterable[Figure], capacity: int | None) -> dict[str, MonthlyFigures]:
    """Return the months of each registered model. Profits are at capacity, if it is set."""
    grouped: dict[str, list[Figure]] = defaultdict(list)
    for each in figures:
        grouped[registered_name(each.model_id)].append(each)
    return {name: monthly_figures(name, rows, capacity) for name, rows in sorted(grouped.items())}


def monthly_figures(name: str, figures: Sequence[Figure], capacity: int | None) -> MonthlyFigures:
    """Build the months of one registered model; each shows the model that made most predictions in it."""
    values: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for each in figures:
        values[each.period, each.model_id][each.name, each.column] = each.value
    # later keys overwrite earlier ones, so the model with most rows remains
    main = dict(sorted(values, key=lambda key: (values[key].get(("rows", ""), 0.0), key)))
    periods = _without_gap(sorted(main))
    months = [values.get((period, main.get(period, "")), {}) for period in periods]
    columns = sorted({column for month in months for name_, column in month if name_ == "psi"})
    return MonthlyFigures(
        name,
        periods,
        tuple(main.get(period) for period in periods),
        _curves([{key: value for (key, column), value in month.items() if not column} for month in months], capacity),
        {column: tuple(_drift(month, column) for month in months) for column in columns},
    )


def wilson(share: float, rows: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion of `rows` rows (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson(0.1, 100)]
    [0.055, 0.174]
    """
    weight = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / weight
    half = _Z * sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)) / weight
    return middle - half, middle + half


def _curves(months: Sequence[Mapping[str, float]], capacity: int | None) -> dict[CurveName, Curve]:
    end = "" if capacity is None else AT_CAPACITY
    profit = (f"profit{end}", f"profit{end}_low", f"profit{end}_high", f"profit_call_everyone{end}")
    return {
        CurveName.ROC_AUC: _curve([_select(month, ("roc_auc", "roc_auc_low", "roc_auc_high", "")) for month in months]),
        CurveName.RATE: _curve([_rate(month) for month in months]),
        CurveName.PROFIT: _curve([_select(month, profit) for month in months]),
    }


def _curve(months: Sequence[tuple[float | None, ...]]) -> Curve:
    return Curve(*zip(*months, strict=True)) if months else Curve((), (), (), ())


def _select(month: Mapping[str, float], names: Sequence[str]) -> tuple[float | None, ...]:
    return tuple(month.get(name) for name in names)


def _rate(month: Mapping[str, float]) -> tuple[float | None, ...]:
    """Return the subscription rate of known outcomes, its interval, and the mean predicted probability."""
    known = month.get("rows", 0.0) * month.get("outcomes_known_share", 0.0)
    predicted, rate = month.get("mean_probability"), month.get("rate")
    if rate is None or known < 1:
        return None, None, None, predicted
    return rate, *wilson(rate, known), predicted


def _drift(month: Mapping[tuple[str, str], float], column: str) -> tuple[float, bool] | None:
    psi = month.get(("psi", column))
    return None if psi is None else (psi, month.get(("moved", column), 0.0) > 0)


def _without_gap(periods: Sequence[str]) -> tuple[str, ...]:
    """Return all months from the first one shown to the last."""
    if not periods:
        return ()
    last = month_number(parse_period(periods[-1]).start)
    first = max(month_number(parse_period(periods[0]).start), last - MONTHS + 1)
    return tuple(map(month_name, range(first, last + 1)))
