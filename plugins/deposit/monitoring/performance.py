"""How good predictions were whose outcomes are known, and whether that is worse than was to be expected. Pure."""

from collections.abc import Mapping
from math import pi, sqrt

import numpy as np

from deposit.model.evaluation import CONFIDENCE, Economics, Interval, Predictions, interval, measured
from deposit.model.metrics import BINS
from deposit.monitoring.profile import BinnedOutcomes

_RESAMPLES, _BLOCKS, _SEED = 200, 10, 0
ENOUGH = 200
"""Known outcomes from which something is said of them."""
_ENOUGH_OF_EACH = 20
_OF_BOTH = frozenset({"f1", "roc_auc", "pr_auc", "lift_10", "capture_30"})
"""Metrics that need subscriptions and refusals; the others are of any outcomes."""
_SIGMAS = 4.0
_RANKS_WORSE, _CALIBRATES_WORSE, _RATE_MOVED = 0.03, 0.05, 0.05
_NORMAL = 1.96
NOISE = "ece_noise"


def performance(scored: BinnedOutcomes, threshold: float, economics: Economics) -> dict[str, Interval]:
    """Metrics of training's evaluation by name, those that so many known outcomes can tell; none where they are few."""
    if scored.rows.sum() < ENOUGH:
        return {}
    enough_of_each = _enough_of_each(scored)
    groups = Predictions(np.full(len(scored.rows), "", dtype=str), scored.labels, scored.probabilities)
    values = measured(groups, threshold, economics, scored.rows[np.newaxis, :])
    # some at a time: each metric has arrays of resamples by groups
    blocks = [measured(groups, threshold, economics, block) for block in np.array_split(_resampled(scored), _BLOCKS)]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    # one period is no months to take a mean of
    names = [name for name in values if name != "roc_auc_month_mean" and (name not in _OF_BOTH or enough_of_each)]
    found = {name: Interval(float(values[name][0]), *interval(drawn[name], CONFIDENCE)) for name in names}
    noise = _calibration_noise(scored)
    return found | {NOISE: Interval(noise, noise, noise)}


def ranking_known(expected: Mapping[str, float], found: Mapping[str, Interval]) -> bool:
    """Whether how well a model ranks could be measured both now and in training."""
    return "roc_auc" in found and "roc_auc" in expected


def degradations(expected: Mapping[str, float], found: Mapping[str, Interval]) -> list[str]:
    """In what a model does worse than out of time in training, beyond noise; `expected` holds the bounds as well."""
    said = []
    if ranking_known(expected, found):
        auc, promised = found["roc_auc"], expected["roc_auc"]
        spread = sqrt(_error(auc.low, auc.high) ** 2 + _error(expected["roc_auc_low"], expected["roc_auc_high"]) ** 2)
        if promised - auc.value > max(_RANKS_WORSE, _SIGMAS * spread):
            said.append(f"it ranks worse than was to be expected (ROC AUC {auc.value:.3f}, expected {promised:.3f})")
    gap = found["ece"].value - found[NOISE].value
    if gap > expected["ece_high"] + _CALIBRATES_WORSE:
        said.append(f"its probabilities are off by {found['ece'].value:.2f} (expected {expected['ece']:.2f})")
    return said


def rate(scored: BinnedOutcomes) -> float:
    """Share of the known outcomes that are subscriptions; NaN without any."""
    total = scored.rows.sum()
    return float((scored.rows * scored.labels).sum() / total) if total else float("nan")


def base_rate_shifted(before: float, scored: BinnedOutcomes) -> bool:
    """Whether the share of subscriptions is another than `before`, by much and beyond noise."""
    now = rate(scored)
    noise = sqrt(max(before * (1 - before), now * (1 - now)) / float(scored.rows.sum()))
    return abs(now - before) > max(_RATE_MOVED, _SIGMAS * noise)


def _enough_of_each(scored: BinnedOutcomes) -> bool:
    positives = float((scored.rows * scored.labels).sum())
    return min(positives, float(scored.rows.sum()) - positives) >= _ENOUGH_OF_EACH


def _resampled(scored: BinnedOutcomes) -> np.ndarray:
    """Bootstrap weights of the groups: as resampling the rows, since those of a group are alike."""
    total = int(scored.rows.sum())
    drawn = np.random.default_rng(_SEED).multinomial(total, scored.rows / total, size=_RESAMPLES)
    return drawn.astype(np.float64)


def _calibration_noise(scored: BinnedOutcomes) -> float:
    """The calibration error that right probabilities would show: the mean of a half-normal deviation in each bin."""
    bins = np.minimum((scored.probabilities * BINS).astype(np.int64), BINS - 1)
    variances = np.bincount(bins, scored.rows * scored.probabilities * (1 - scored.probabilities), BINS)
    return float(np.sqrt(2 / pi * variances).sum() / scored.rows.sum())


def _error(low: float, high: float) -> float:
    """Standard error from a 95 % interval."""
    return (high - low) / (2 * _NORMAL)
