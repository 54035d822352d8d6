"""How good predictions were: every metric with a bootstrap interval, beside simple baselines. Pure.

Intervals resample calls within their month. Which months come is not in them, and matters more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, Probabilities
from deposit.model.metrics import RankedScores, Values
from deposit.sections import EconomicsSettings


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows in time order with what was predicted for them; all arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    probabilities: Probabilities


def predict(artifact: ModelArtifact, frame: pd.DataFrame) -> Predictions:
    """A model's predictions of the rows of a frame."""
    probabilities = artifact.probabilities(artifact.encoder.encode_columns(frame))
    return Predictions(frame["period"].to_numpy(dtype=str), frame["y"].to_numpy(np.int8), probabilities)


MONTH_ROWS = 50
"""Months with fewer rows are left out of month means."""
CONFIDENCE = 0.95
_CHUNK = 100


@dataclass(frozen=True)
class Economics:
    """Value of one subscription and cost of one call, in one unit."""

    deposit_value: float
    call_cost: float

    @classmethod
    def of(cls, settings: EconomicsSettings) -> "Economics":
        """As the settings have them."""
        return cls(settings.deposit_value, settings.call_cost)


@dataclass(frozen=True)
class Interval:
    """A metric on the window itself and its bootstrap percentile interval (Efron 1979)."""

    value: float
    low: float
    high: float


def evaluate(
    predictions: Predictions, threshold: float, economics: Economics, resamples: int, seed: int
) -> dict[str, Interval]:
    """Every metric with its interval, by name."""
    values = point_metrics(predictions, threshold, economics)
    samples: dict[str, list[Values]] = {name: [] for name in values}
    for weights in bootstrap_weights(predictions.periods, resamples, seed):
        for name, sample in weighted_metrics(predictions, threshold, economics, weights).items():
            samples[name].append(sample)
    return {name: Interval(values[name], *interval(np.concatenate(samples[name]), CONFIDENCE)) for name in values}


def point_metrics(predictions: Predictions, threshold: float, economics: Economics) -> dict[str, float]:
    """Every metric, by name, without intervals."""
    ones = np.ones((1, len(predictions.labels)))
    return {name: float(value[0]) for name, value in weighted_metrics(predictions, threshold, economics, ones).items()}


def weighted_metrics(
    predictions: Predictions, threshold: float, economics: Economics, weights: Values
) -> Mapping[str, Values]:
    """Every metric for each row of `weights` (resamples, n)."""
    labels, probabilities = predictions.labels, predictions.probabilities
    called = probabilities >= threshold
    ranked = RankedScores(labels, probabilities, weights)
    return {
        "accuracy": metrics.mean(called == (labels == 1), weights),
        "f1": metrics.f1(labels, called, weights),
        "roc_auc": ranked.roc_auc(),
        "roc_auc_month_mean": _month_mean_auc(predictions, weights),
        "pr_auc": ranked.pr_auc(),
        "brier": metrics.mean((probabilities - labels) ** 2, weights),
        "log_loss": metrics.mean(metrics.log_losses(labels, probabilities), weights),
        "ece": metrics.calibration_error(labels, probabilities, weights),
        "lift_10": ranked.lift(0.1),
        "capture_30": ranked.capture(0.3),
        **_money(labels, probabilities, economics, weights),
    }


def bootstrap_weights(periods: NDArray[np.str_], resamples: int, seed: int) -> Iterator[Values]:
    """Weights of bootstrap resamples of the rows within each period, in chunks of shape (some, n)."""
    generator = np.random.default_rng(seed)
    groups = [np.flatnonzero(periods == period) for period in np.unique(periods)]
    for start in range(0, resamples, _CHUNK):
        weights = np.zeros((min(_CHUNK, resamples - start), len(periods)))
        for rows in groups:
            drawn = generator.integers(len(rows), size=(len(weights), len(rows)))
            for weight, places in zip(weights, drawn, strict=True):
                weight[rows] = np.bincount(places, minlength=len(rows))
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


def _month_mean_auc(predictions: Predictions, weights: Values) -> Values:
    """Mean of the months' ROC AUC; months with few rows or one class do not count."""
    aucs = []
    for period in np.unique(predictions.periods):
        rows = predictions.periods == period
        if rows.sum() >= MONTH_ROWS:
            ranked = RankedScores(predictions.labels[rows], predictions.probabilities[rows], weights[:, rows])
            aucs.append(ranked.roc_auc())
    table = np.array(aucs).reshape(len(aucs), len(weights))
    finite = np.isfinite(table)
    total: Values = np.where(finite, table, 0.0).sum(axis=0)
    number = finite.sum(axis=0)
    means: Values = np.divide(total, number, out=np.full(len(weights), np.nan), where=number > 0)
    return means


def _money(labels: Labels, probabilities: Probabilities, economics: Economics, weights: Values) -> dict[str, Values]:
    """Profit of calling whom it pays to call, of calling everyone, and of knowing the answers beforehand."""
    earned = economics.deposit_value * labels - economics.call_cost
    called = probabilities * economics.deposit_value > economics.call_cost
    return {
        "profit": weights @ np.where(called, earned, 0.0),
        "profit_call_everyone": weights @ earned,
        "profit_oracle": weights @ np.maximum(earned, 0.0),
    }
