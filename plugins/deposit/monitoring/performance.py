"""How good predictions were whose outcomes are known, and whether that is worse than was to be expected. Pure."""

from collections.abc import Mapping
from math import pi, sqrt

import numpy as np

from deposit.model.evaluation import CONFIDENCE, Economics, Interval, interval, measured
from deposit.model.forward import Predictions
from deposit.model.metrics import BINS
from deposit.monitoring.observed import Scored

_RESAMPLES, _BLOCKS, _SEED = 200, 10, 0
_FEW, _FEW_OF_A_KIND = 200, 20
_SIGMAS = 4.0
_RANKS_WORSE, _CALIBRATES_WORSE, _RATE_MOVED = 0.03, 0.05, 0.05
_NORMAL = 1.96
NOISE = "ece_noise"


def performance(scored: Scored, threshold: float, economics: Economics) -> dict[str, Interval]:
    """Every metric of training's evaluation, by name; empty where too few outcomes are known to say anything."""
    if not _enough(scored):
        return {}
    groups = Predictions(np.full(len(scored.rows), "", dtype=str), scored.labels, scored.probabilities)
    values = measured(groups, threshold, economics, scored.rows[np.newaxis, :])
    # some at a time: each metric has arrays of resamples by groups
    blocks = [measured(groups, threshold, economics, block) for block in np.array_split(_resampled(scored), _BLOCKS)]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    # one period is no months to take a mean of
    names = [name for name in values if name != "roc_auc_month_mean"]
    found = {name: Interval(float(values[name][0]), *interval(drawn[name], CONFIDENCE)) for name in names}
    noise = _calibration_noise(scored)
    return found | {NOISE: Interval(noise, noise, noise)}


def decline(expected: Mapping[str, float], found: Mapping[str, Interval]) -> list[str]:
    """In what a model does worse than out of time in training, beyond noise; `expected` holds the bounds as well."""
    said = []
    auc, promised = found["roc_auc"], expected["roc_auc"]
    spread = sqrt(_error(auc.low, auc.high) ** 2 + _error(expected["roc_auc_low"], expected["roc_auc_high"]) ** 2)
    if promised - auc.value > max(_RANKS_WORSE, _SIGMAS * spread):
        said.append(f"it ranks worse than was to be expected (ROC AUC {auc.value:.3f}, expected {promised:.3f})")
    gap = found["ece"].value - found[NOISE].value
    if gap > expected["ece_high"] + _CALIBRATES_WORSE:
        said.append(f"its probabilities are off by {found['ece'].value:.2f} (expected {expected['ece']:.2f})")
    return said


def rate(scored: Scored) -> float:
    """Share of the known outcomes that are subscriptions; NaN without any."""
    total = scored.rows.sum()
    return float((scored.rows * scored.labels).sum() / total) if total else float("nan")


def rate_moved(before: float, scored: Scored) -> bool:
    """Whether the share of subscriptions is another than `before`, by much and beyond noise."""
    now = rate(scored)
    noise = sqrt(max(before * (1 - before), now * (1 - now)) / float(scored.rows.sum()))
    return abs(now - before) > max(_RATE_MOVED, _SIGMAS * noise)


def _enough(scored: Scored) -> bool:
    positives = float((scored.rows * scored.labels).sum())
    total = float(scored.rows.sum())
    return total >= _FEW and min(positives, total - positives) >= _FEW_OF_A_KIND


def _resampled(scored: Scored) -> np.ndarray:
    """Bootstrap weights of the groups: as resampling the rows, since those of a group are alike."""
    total = int(scored.rows.sum())
    drawn = np.random.default_rng(_SEED).multinomial(total, scored.rows / total, size=_RESAMPLES)
    return drawn.astype(np.float64)


def _calibration_noise(scored: Scored) -> float:
    """The calibration error that right probabilities would show: the mean of a half-normal deviation in each bin."""
    bins = np.minimum((scored.probabilities * BINS).astype(np.int64), BINS - 1)
    variances = np.bincount(bins, scored.rows * scored.probabilities * (1 - scored.probabilities), BINS)
    return float(np.sqrt(2 / pi * variances).sum() / scored.rows.sum())


def _error(low: float, high: float) -> float:
    """Standard error from a 95 % interval."""
    return (high - low) / (2 * _NORMAL)
