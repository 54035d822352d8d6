"""Evaluate predictions: every metric with bootstrap intervals, pooled, averaged over months, and by month. Pure.

Resampling by rows draws calls within each month. Resampling by months draws whole months, whose variation matters more.
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
    """Rows in time order with their labels and predicted probabilities; all arrays have shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    probabilities: Probabilities


def predict(artifact: ModelArtifact, frame: "pd.DataFrame") -> Predictions:
    """Predict the rows of a frame with a model."""
    probabilities = artifact.probabilities(artifact.encoder.encode_columns(frame))
    return Predictions(frame["period"].to_numpy(dtype=str), frame["y"].to_numpy(np.int8), probabilities)


MONTH_ROWS = 50
"""Minimum number of rows for a month to count in means over months."""
CONFIDENCE = 0.95
Resampled = Literal["rows", "months"]
Threshold = float | Values
"""Probability from which the decision is yes: one for all rows, or one per row, shape (n,)."""
_CHUNK = 100


@dataclass(frozen=True)
class Economics:
    """Value of one subscription and cost of one call, in the same unit, and calls per month (None means no limit).

    The capacity may be a fraction if one row stands for several calls.
    """

    deposit_value: float
    call_cost: float
    capacity: float | None = None

    @classmethod
    def of(cls, settings: EconomicsSettings) -> "Economics":
        """Economics of the settings."""
        return cls(settings.deposit_value, settings.call_cost, settings.capacity)


@dataclass(frozen=True)
class Interval:
    """A metric on the evaluation window, and its bootstrap percentile interval (Efron 1979)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MonthMetrics:
    """Metrics of one month; ROC AUC and capture are NaN if the month has only one class."""

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
    """Profits of one month by metric name, with intervals that resample the month's calls."""

    period: str
    profits: Mapping[str, Interval]


def by_month(predictions: Predictions, economics: Economics) -> tuple[MonthMetrics, ...]:
    """Compute the metrics of each month that has rows, oldest first."""
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
    """Compute the profits of each month with intervals, oldest first; also at capacity, if there is one."""
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
    """Compute every metric and its interval, by name."""
    values = point_metrics(predictions, threshold, economics)
    samples: dict[str, list[Values]] = {name: [] for name in values}
    for weights in bootstrap_weights(predictions.periods, resamples, seed, resampled):
        for name, sample in weighted_metrics(predictions, threshold, economics, weights).items():
            samples[name].append(sample)
    return {name: Interval(values[name], *interval(np.concatenate(samples[name]), CONFIDENCE)) for name in values}


def point_metrics(predictions: Predictions, threshold: Threshold, economics: Economics) -> dict[str, float]:
    """Compute every metric without its interval, by name."""
    ones = np.ones((1, len(predictions.labels)))
    return {name: float(value[0]) for name, value in weighted_metrics(predictions, threshold, economics, ones).items()}


def weighted_metrics(
    predictions: Predictions, threshold: Threshold, economics: Economics, weights: Values
) -> Mapping[str, Values]:
    """Compute every metric for each row of `weights`, shape (resamples, n)."""
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
    """Compute only the profits among the metrics."""
    months = rank_months(predictions.periods, predictions.labels, predictions.probabilities, weights)
    return profits(months, economics.deposit_value, economics.call_cost, economics.capacity)


def bootstrap_weights(
    periods: NDArray[np.str_], resamples: int, seed: int, resampled: Resampled = "rows"
) -> Iterator[Values]:
    """Yield weights of bootstrap resamples, in chunks of shape (some, n): of rows within each period, or of periods.

    A resampled period contributes all its rows, as often as it is drawn (Field, Welsh 2007).
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
    """Percentile interval of the finite samples.

    >>> interval(np.append(np.arange(101.0), np.nan), 0.5)
    (25.0, 75.0)
    """
    numbers = samples[np.isfinite(samples)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.quantile(numbers, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
