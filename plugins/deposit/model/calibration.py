"""Calibration and threshold, learned from forward predictions alone. Pure."""

from dataclasses import dataclass

import numpy as np

from deposit.model import metrics
from deposit.model.artifact import Probabilities
from deposit.model.forward import Predictions
from deposit.model.recipes import Labels

SHRINKAGE = 100.0
"""Information (n · rate · (1 - rate)) at which half of a shift is believed."""
_FURTHEST = 20.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is deployed (`shift`, `threshold`) and the forward predictions as they would have been served."""

    shift: float
    threshold: float
    served: Predictions


def calibrate(forward: Predictions) -> Calibration:
    """The shrunk intercept shift if, learned and applied forward, it lowers the log loss; and the best-F1 threshold."""
    shifted = Predictions(forward.periods, forward.labels, _shifted_forward(forward))
    helps = metrics.log_loss(shifted.labels, shifted.probabilities) < metrics.log_loss(
        forward.labels, forward.probabilities
    )
    served = shifted if helps else forward
    shift = shrunk_shift(forward.labels, forward.probabilities) if helps else 0.0
    return Calibration(shift, best_f1_threshold(served.labels, served.probabilities), served)


def shrunk_shift(labels: Labels, probabilities: Probabilities) -> float:
    """What to add to the log-odds so that their mean meets the rate, shrunk by I / (I + 100)."""
    if not len(labels):
        return 0.0
    rate = float(labels.mean())
    information = len(labels) * rate * (1 - rate)
    if not information:
        return 0.0
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if shifted(probabilities, middle).mean() < rate else (low, middle)
    return (low + high) / 2 * information / (information + SHRINKAGE)


def shifted(probabilities: Probabilities, shift: float) -> Probabilities:
    """Probabilities with `shift` added to their log-odds."""
    odds = probabilities / (1 - probabilities) * np.exp(shift)
    moved: Probabilities = odds / (1 + odds)
    return moved


def best_f1_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """The probability from which on `yes` gives the highest F1."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order], dtype=np.int64)[ends]
    f1 = 2 * hits / (ends + 1 + labels.sum(dtype=np.int64))
    return float(ranked[ends[f1.argmax()]])


def _shifted_forward(forward: Predictions) -> Probabilities:
    """Each period shifted by what the periods before it teach; the first is left as it is."""
    moved = forward.probabilities.copy()
    for period in np.unique(forward.periods):
        before, now = forward.periods < period, forward.periods == period
        moved[now] = shifted(moved[now], shrunk_shift(forward.labels[before], forward.probabilities[before]))
    return moved
