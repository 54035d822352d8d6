"""How good predictions were: every metric with bootstrap intervals, pooled, as a mean of months and by month. Pure.

Intervals by rows resample calls within their month; those by months resample the months, which matters more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, Probabilities
from deposit.model.metrics import RankedScores, Values, month_means, profits, rank_months
from deposit.sections import EconomicsSettings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows in time order with what was predicted for them; all arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    probabilities: Probabilities


def predict(artifact: ModelArtifact, frame: "pd.DataFrame") -> Predictions:
    """A model's predictions of the rows of a frame."""
    probabilities = artifact.probabilities(artifact.encoder.encode_columns(frame))
    return Predictions(frame["period"].to_numpy(dtype=str), frame["y"].to_numpy(np.int8), probabilities)


MONTH_ROWS = 50
"""Months with fewer rows are left out of month means."""
CONFIDENCE = 0.95
Resampled = Literal["rows", "months"]
Threshold = float | Values
"""From which probability on the answer is yes: one for all rows, or one a row, shape (n,)."""
_CHUNK = 100


@dataclass(frozen=True)
class Economics:
    """Value of one subscription and cost of one call, in one unit; how many calls a month can have, None: any number.

    The capacity may be a fraction where a row stands for several calls.
    """

    deposit_value: float
    call_cost: float
    capacity: float | None = None

    @classmethod
    def of(cls, settings: EconomicsSettings) -> "Economics":
        """As the settings have them."""
        return cls(settings.deposit_value, settings.call_cost, settings.capacity)


@dataclass(frozen=True)
class Interval:
    """A metric on the window itself and its bootstrap percentile interval (Efron 1979)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MonthMetrics:
    """One month; ROC AUC and capture are NaN where it has one outcome only."""

    period: str
    rows: int
    rate: float
    roc_auc: float
    log_loss: float
    brier: float
    capture_30: float
    profit: float
    profit_expected: float
    profit_random: float
    profit_call_everyone: float
    profit_oracle: float


@dataclass(frozen=True)
class MonthProfits:
    """What a month's calls earn by each way to choose them, with intervals that resample its calls; by metric."""

    period: str
    profits: Mapping[str, Interval]


def by_month(predictions: Predictions, economics: Economics) -> tuple[MonthMetrics, ...]:
    """The curve by month, oldest first; all months that have rows."""
    months = []
    for period in np.unique(predictions.periods):
        rows = predictions.periods == period
        month = Predictions(predictions.periods[rows], predictions.labels[rows], predictions.probabilities[rows])
        values = point_metrics(month, 0.5, economics)
        names = MonthMetrics.__dataclass_fields__.keys() & values.keys()
        chosen = {name: values[name] for name in names}
        months.append(MonthMetrics(str(period), int(rows.sum()), float(month.labels.mean()), **chosen))
    return tuple(months)


def profits_by_month(
    predictions: Predictions, economics: Economics, resamples: int, seed: int
) -> tuple[MonthProfits, ...]:
    """What `profits` gives of each month, oldest first; those at capacity too where there is one."""
    months = []
    for period in np.unique(predictions.periods):
        rows = predictions.periods == period
        month = Predictions(predictions.periods[rows], predictions.labels[rows], predictions.probabilities[rows])
        values = weighted_profits(month, economics, np.ones((1, int(rows.sum()))))
        drawn = [weighted_profits(month, economics, each) for each in bootstrap_weights(month.periods, resamples, seed)]
        samples = {name: np.concatenate([chunk[name] for chunk in drawn]) for name in values}
        earned = {name: Interval(float(values[name][0]), *interval(samples[name], CONFIDENCE)) for name in values}
        months.append(MonthProfits(str(period), earned))
    return tuple(months)


def evaluate(
    predictions: Predictions,
    threshold: Threshold,
    economics: Economics,
    resamples: int,
    seed: int,
    resampled: Resampled = "rows",
) -> dict[str, Interval]:
    """Every metric with its interval, by name."""
    values = point_metrics(predictions, threshold, economics)
    samples: dict[str, list[Values]] = {name: [] for name in values}
    for weights in bootstrap_weights(predictions.periods, resamples, seed, resampled):
        for name, sample in weighted_metrics(predictions, threshold, economics, weights).items():
            samples[name].append(sample)
    return {name: Interval(values[name], *interval(np.concatenate(samples[name]), CONFIDENCE)) for name in values}


def point_metrics(predictions: Predictions, threshold: Threshold, economics: Economics) -> dict[str, float]:
    """Every metric, by name, without intervals."""
    ones = np.ones((1, len(predictions.labels)))
    return {name: float(value[0]) for name, value in weighted_metrics(predictions, threshold, economics, ones).items()}


def weighted_metrics(
    predictions: Predictions, threshold: Threshold, economics: Economics, weights: Values
) -> Mapping[str, Values]:
    """Every metric for each row of `weights` (resamples, n)."""
    labels, probabilities = predictions.labels, predictions.probabilities
    called = probabilities >= threshold
    ranked = RankedScores(labels, probabilities, weights)
    months = rank_months(predictions.periods, labels, probabilities, weights)
    return {
        "accuracy": metrics.mean(called == (labels == 1), weights),
        "f1": metrics.f1(labels, called, weights),
        "roc_auc": ranked.roc_auc(),
        **month_means(months, MONTH_ROWS),
        "pr_auc": ranked.pr_auc(),
        "brier": metrics.mean((probabilities - labels) ** 2, weights),
        "log_loss": metrics.mean(metrics.log_losses(labels, probabilities), weights),
        "ece": metrics.calibration_error(labels, probabilities, weights),
        "lift_10": ranked.lift(0.1),
        "capture_30": ranked.capture(0.3),
        **profits(months, economics.deposit_value, economics.call_cost, economics.capacity),
    }


def weighted_profits(predictions: Predictions, economics: Economics, weights: Values) -> Mapping[str, Values]:
    """Those of these metrics that are profits."""
    months = rank_months(predictions.periods, predictions.labels, predictions.probabilities, weights)
    return profits(months, economics.deposit_value, economics.call_cost, economics.capacity)


def bootstrap_weights(
    periods: NDArray[np.str_], resamples: int, seed: int, resampled: Resampled = "rows"
) -> Iterator[Values]:
    """Weights of bootstrap resamples, in chunks of shape (some, n): of the rows within each period, or of the periods.

    Resampled periods come with all their rows, as often as they are drawn (Field, Welsh 2007).
    """
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(periods == period) for period in np.unique(periods)]
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        weights = np.zeros((count, len(periods)))
        if resampled == "months":
            drawn = generator.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=count)
            for times, rows in zip(drawn.T, groups, strict=True):
                weights[:, rows] = times[:, np.newaxis]
        else:
            for rows in groups:
                places = generator.integers(len(rows), size=(count, len(rows)))
                for weight, place in zip(weights, places, strict=True):
                    weight[rows] = np.bincount(place, minlength=len(rows))
        yield weights


def interval(samples: Values, confidence: float) -> tuple[float, float]:
    """Percentile interval of the samples that are numbers.

    >>> interval(np.append(np.arange(101.0), np.nan), 0.5)
    (25.0, 75.0)
    """
    numbers = samples[np.isfinite(samples)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.quantile(numbers, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
