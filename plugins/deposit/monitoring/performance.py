"""Performance of predictions with known outcomes, and whether it is worse than expected. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import pi, sqrt

import numpy as np

from deposit.model.evaluation import (
    CONFIDENCE,
    Economics,
    Interval,
    Predictions,
    interval,
    weighted_metrics,
    weighted_profits,
)
from deposit.model.metrics import BINS, Values
from deposit.model.worth import AT_CAPACITY
from deposit.monitoring.profile import BinnedOutcomes
from deposit.monitoring.status import Deviation, MonitoringRule

_RESAMPLES, _BLOCKS, _SEED = 200, 10, 0
MIN_OUTCOMES = 200
"""Minimum number of known outcomes for measuring performance."""
MIN_OUTCOMES_OF_EACH = 20
"""Minimum number of subscriptions, and of refusals, for measuring ranking."""
_OF_BOTH = frozenset({"f1", "roc_auc", "pr_auc", "lift_10", "capture_30"})
"""Metrics that need both subscriptions and refusals."""
SIGMAS = 4.0
"""Standard errors within which a difference counts as noise."""
MAX_AUC_LOSS = 0.03
"""How far ROC AUC may fall below the mean of the months scored in training, beyond noise."""
MAX_ECE_GAIN = 0.05
"""How far the calibration error, less its noise, may exceed its upper bound in training."""
MAX_RATE_SHIFT = 0.05
"""How far the subscription rate may differ from that in training, beyond noise."""
_NORMAL = 1.96
NOISE = "ece_noise"


def performance(scored: BinnedOutcomes, threshold: float, economics: Economics) -> dict[str, Interval]:
    """Metrics by name, as in the evaluation of training, if enough outcomes are known for each; empty if too few."""
    if scored.rows.sum() < MIN_OUTCOMES:
        return {}
    enough_of_each = _enough_of_each(scored)
    intervals = _measure(scored, economics, partial(weighted_metrics, threshold=threshold))
    noise = _calibration_noise(scored)
    # a mean over months does not apply to a single period
    names = [
        name for name in intervals if not name.endswith("_month_mean") and (name not in _OF_BOTH or enough_of_each)
    ]
    return {name: intervals[name] for name in names} | {NOISE: Interval(noise, noise, noise)}


def profits_by_rates(scored: BinnedOutcomes | None, economics: Economics) -> dict[str, Interval]:
    """Profits of the calls that the rate table would choose, computed as in `performance`."""
    if scored is None or scored.rows.sum() < MIN_OUTCOMES:
        return {}
    measured = _measure(scored, economics, weighted_profits)
    return {f"profit_rates{end}": measured[f"profit{end}"] for end in ("", AT_CAPACITY) if f"profit{end}" in measured}


def _measure(
    scored: BinnedOutcomes, economics: Economics, metrics: Callable[..., Mapping[str, Values]]
) -> dict[str, Interval]:
    """Metrics of binned outcomes, by a function of predictions, economics and weights."""
    if economics.capacity is not None:
        # capacity counts rows, but here each entry is a group of rows
        economics = replace(economics, capacity=economics.capacity / float(scored.rows.mean()))
    groups = Predictions(np.full(len(scored.rows), "", dtype=str), scored.labels, scored.probabilities)
    values = metrics(groups, economics=economics, weights=scored.rows[np.newaxis, :])
    # in blocks: every metric has arrays of shape (resamples, groups)
    blocks = [
        metrics(groups, economics=economics, weights=block) for block in np.array_split(_resampled(scored), _BLOCKS)
    ]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    return {name: Interval(float(values[name][0]), *interval(drawn[name], CONFIDENCE)) for name in values}


def ranking_known(expected: Mapping[str, float], metrics: Mapping[str, Interval]) -> bool:
    """Whether the model's ranking could be measured, both in the period and in training."""
    return "roc_auc" in metrics and "roc_auc" in expected


def degradations(expected: Mapping[str, float], metrics: Mapping[str, Interval], rows: int) -> list[Deviation]:
    """Metrics that are worse than in training, beyond noise.

    Args:
        expected: rolling-origin metrics of training, with their bounds.
        metrics: metrics of a period with enough known outcomes.
        rows: number of known outcomes.
    """
    worse = []
    if ranking_known(expected, metrics):
        # compare with the mean over months: pooled over months, differences of rates count as ranking too
        auc, name = metrics["roc_auc"], "roc_auc_month_mean" if "roc_auc_month_mean" in expected else "roc_auc"
        promised = expected[name]
        spread = sqrt(_error(auc.low, auc.high) ** 2 + _error(expected[f"{name}_low"], expected[f"{name}_high"]) ** 2)
        tolerance = max(MAX_AUC_LOSS, SIGMAS * spread)
        if promised - auc.value > tolerance:
            rule = MonitoringRule.RANKING
            worse.append(Deviation(rule, "roc_auc", auc.value, (promised, promised), tolerance, rows))
    ece, tolerance = metrics["ece"].value, MAX_ECE_GAIN + metrics[NOISE].value
    if ece > expected["ece_high"] + tolerance:
        bounds = expected["ece"], expected["ece_high"]
        worse.append(Deviation(MonitoringRule.CALIBRATION, "ece", ece, bounds, tolerance, rows))
    return worse


def rate(scored: BinnedOutcomes) -> float:
    """Subscription rate of the known outcomes; NaN without any."""
    total = scored.rows.sum()
    return float((scored.rows * scored.labels).sum() / total) if total else float("nan")


def base_rate_shifted(before: float, scored: BinnedOutcomes) -> bool:
    """Whether the subscription rate differs from `before` by a large margin and beyond noise; needs known outcomes.

    >>> scored = BinnedOutcomes(np.array([0, 1], np.int8), np.array([0.1, 0.1]), np.array([800.0, 200.0]))
    >>> base_rate_shifted(0.1, scored), base_rate_shifted(0.18, scored)
    (True, False)
    """
    now = rate(scored)
    noise = sqrt(max(before * (1 - before), now * (1 - now)) / float(scored.rows.sum()))
    return abs(now - before) > max(MAX_RATE_SHIFT, SIGMAS * noise)


def _enough_of_each(scored: BinnedOutcomes) -> bool:
    positives = float((scored.rows * scored.labels).sum())
    return min(positives, float(scored.rows.sum()) - positives) >= MIN_OUTCOMES_OF_EACH


def _resampled(scored: BinnedOutcomes) -> np.ndarray:
    """Bootstrap weights of the groups: equivalent to resampling rows, since the rows of a group are alike."""
    total = int(scored.rows.sum())
    drawn = np.random.default_rng(_SEED).multinomial(total, scored.rows / total, size=_RESAMPLES)
    return drawn.astype(np.float64)


def _calibration_noise(scored: BinnedOutcomes) -> float:
    """Expected calibration error of correct probabilities: the mean of a half-normal deviation in each bin."""
    bins = np.minimum((scored.probabilities * BINS).astype(np.int64), BINS - 1)
    variances = np.bincount(bins, scored.rows * scored.probabilities * (1 - scored.probabilities), BINS)
    return float(np.sqrt(2 / pi * variances).sum() / scored.rows.sum())


def _error(low: float, high: float) -> float:
    """Standard error from a 95 % interval."""
    return (high - low) / (2 * _NORMAL)
