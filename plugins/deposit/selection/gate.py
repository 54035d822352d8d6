"""The gate's rules: whether paired predictions let a challenger pass. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Labels, Probabilities
from deposit.model.evaluation import Threshold, bootstrap_weights, interval
from deposit.model.metrics import RankedScores
from deposit.sections import SelectSettings
from deposit.selection.decision import Criterion, CriterionName, GateResult, PairedInterval

SAME = 1e-6
"""Log losses that differ by less are alike: served probabilities may differ by so much."""


@dataclass(frozen=True, eq=False)
class PairedPredictions:
    """The shared window's rows with both models' predictions; arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    baseline: Probabilities
    challenger_threshold: Threshold
    baseline_threshold: Threshold


def must_be_better(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """The paired interval of the log-loss difference lies below 0, and that of ROC AUC's not below what may be lost.

    A month's ROC AUC is known to some hundredths: its difference alone would refuse for noise.
    """
    loss = _log_loss(predictions, rules, resamples, seed)
    auc = _roc_auc(predictions, rules, resamples, seed)
    criteria = (
        Criterion(CriterionName.LOG_LOSS, loss.high, 0.0, loss.high < 0),
        Criterion(CriterionName.ROC_AUC_UPPER, auc.high, -rules.max_auc_loss, auc.high >= -rules.max_auc_loss),
    )
    return GateResult(criteria, loss, auc)


def must_not_be_worse(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """The paired interval of the log-loss difference does not lie above 0."""
    paired = _log_loss(predictions, rules, resamples, seed)
    return GateResult((Criterion(CriterionName.LOG_LOSS_LOWER, paired.low, SAME, paired.low <= SAME),), paired)


def by_accuracy_f1(predictions: PairedPredictions) -> GateResult:
    """Accuracy and F1, each side at its own threshold: neither worse, at least one better."""
    ones = np.ones((1, len(predictions.labels)))
    sides = [
        predictions.challenger >= predictions.challenger_threshold,
        predictions.baseline >= predictions.baseline_threshold,
    ]
    accuracy = [float(metrics.mean(called == (predictions.labels == 1), ones)[0]) for called in sides]
    f1 = [float(metrics.f1(predictions.labels, called, ones)[0]) for called in sides]
    gains = accuracy[0] - accuracy[1], f1[0] - f1[1]
    return GateResult(
        (
            Criterion(CriterionName.ACCURACY, gains[0], 0.0, gains[0] >= 0),
            Criterion(CriterionName.F1, gains[1], 0.0, gains[1] >= 0),
            Criterion(CriterionName.LARGER, max(gains), 0.0, max(gains) > 0),
        )
    )


def _log_loss(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> PairedInterval:
    sides = (predictions.challenger, predictions.baseline)
    losses = [metrics.log_losses(predictions.labels, side) for side in sides]
    difference = losses[0] - losses[1]
    samples = [metrics.mean(difference, weights) for weights in bootstrap_weights(predictions.periods, resamples, seed)]
    low, high = interval(np.concatenate(samples), rules.confidence)
    return PairedInterval(float(difference.mean()), low, high, rules.confidence)


def _roc_auc(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> PairedInterval:
    labels, sides = predictions.labels, (predictions.challenger, predictions.baseline)
    difference = metrics.roc_auc(labels, sides[0]) - metrics.roc_auc(labels, sides[1])
    samples = [
        np.subtract(*(RankedScores(labels, side, weights).roc_auc() for side in sides))
        for weights in bootstrap_weights(predictions.periods, resamples, seed)
    ]
    return PairedInterval(difference, *interval(np.concatenate(samples), rules.confidence), rules.confidence)
