"""The gate: its rules, and the refit policy that applies them to a challenger. Pure.

A challenger with the champion's recipe table is a *refresh* (refitted members, updated weights). Staleness is the known
danger, so it passes unless it is clearly worse. A challenger with another recipe table is a *change* and must be
significantly better. Both models are compared by their out-of-time predictions on the same months (decision 23). The
backtest and `select` share this code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.data.periods import ordinal
from deposit.model import metrics
from deposit.model.artifact import Labels, Probabilities
from deposit.model.evaluation import Threshold, bootstrap_weights, interval
from deposit.model.metrics import RankedScores
from deposit.model.mixture import Values
from deposit.sections import SelectSettings
from deposit.selection.decision import (
    ChallengeKind,
    Comparison,
    Criterion,
    CriterionName,
    GateResult,
    Overtaken,
    PairedInterval,
    SharedWindow,
)

SAME = 1e-6
"""Smaller differences of log loss count as none: served probabilities may differ by as much."""


@dataclass(frozen=True, eq=False)
class PairedPredictions:
    """The rows of the shared window with the predictions of both models; arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    baseline: Probabilities
    challenger_threshold: Threshold
    baseline_threshold: Threshold


def must_be_better(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """Require the log-loss interval to be below 0, and the ROC AUC interval not to be below the loss that is allowed.

    The ROC AUC of a month is only accurate to a few hundredths: its point difference would reject models for noise.
    """
    loss = _log_loss(predictions, rules, resamples, seed)
    auc = _roc_auc(predictions, rules, resamples, seed)
    criteria = (
        Criterion(CriterionName.LOG_LOSS, loss.high, 0.0, loss.high < 0),
        Criterion(CriterionName.ROC_AUC_UPPER, auc.high, -rules.max_auc_loss, auc.high >= -rules.max_auc_loss),
    )
    return GateResult(criteria, loss, auc)


def must_not_be_worse(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """Require that the paired interval of the log-loss difference is not entirely above 0."""
    paired = _log_loss(predictions, rules, resamples, seed)
    return GateResult((Criterion(CriterionName.LOG_LOSS_LOWER, paired.low, SAME, paired.low <= SAME),), paired)


def by_accuracy_f1(predictions: PairedPredictions) -> GateResult:
    """Compare accuracy and F1, each model at its own threshold: neither may be worse, at least one must be better."""
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


COMPARED_MONTHS = {ChallengeKind.FIRST: None, ChallengeKind.REFRESH: 3, ChallengeKind.CHANGE: 12}
"""Number of newest labelled months that are pooled for the comparison; None: all."""


@dataclass(frozen=True, eq=False)
class ChallengeHistory:
    """Rows, oldest first, with the out-of-time predictions of the challenger and its baseline; arrays of shape (n,).

    Args:
        kind: kind of challenge.
        periods: month of each row.
        labels: outcomes; only those known at the decision are used.
        challenger: predictions of the challenger's recipe table, fitted for each month on the months before it.
        baseline: predictions of the champion, or the rate of the months before; NaN where the champion has seen the
            month.
        challenger_thresholds: the challenger's threshold for each row at the time.
        baseline_thresholds: the baseline's threshold for each row at the time.
        baseline_end: newest month that the baseline was trained on; empty for a rate.
    """

    kind: ChallengeKind
    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    baseline: Probabilities
    challenger_thresholds: Values
    baseline_thresholds: Values
    baseline_end: str


@dataclass(frozen=True)
class RefitPolicy:
    """Decides on challengers from the labels that are known at the time.

    Args:
        rules: settings of the gate.
        delay: calendar months between the end of a month and the arrival of its labels.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.
    """

    rules: SelectSettings
    delay: int = 0
    resamples: int = 500
    seed: int = 7

    def decide(self, history: ChallengeHistory, as_of: str) -> Comparison:
        """Compare the challenger with its baseline, to decide on the champion from the month `as_of` (YYYY-MM) on.

        A window without rows does not pass. Neither does one with a single outcome, unless the challenge is a refresh,
        which only must not be clearly worse.
        """
        months = [str(each) for each in np.unique(history.periods) if ordinal(str(each)) + self.delay < ordinal(as_of)]
        known = np.isin(history.periods, months)
        end = months[-1] if months else ""
        overtaken = Overtaken(history.baseline_end, end) if history.baseline_end > end else None
        comparable = known & np.isfinite(history.baseline) & (overtaken is None)
        newest = np.unique(history.periods[comparable])
        limit = COMPARED_MONTHS[history.kind]
        rows = comparable & np.isin(history.periods, newest if limit is None else newest[-limit:])
        periods, labels = history.periods[rows], history.labels[rows]
        first, last = (str(periods[0]), str(periods[-1])) if rows.any() else ("", "")
        window = SharedWindow(history.baseline_end or end, len(periods), first, last, len(np.unique(labels)))
        if not window.is_comparable and not (window.rows and history.kind is ChallengeKind.REFRESH):
            return Comparison(window, GateResult(()), history.kind, overtaken)
        paired = PairedPredictions(
            periods, labels, history.challenger[rows], history.baseline[rows],
            history.challenger_thresholds[rows], history.baseline_thresholds[rows],
        )  # fmt: skip
        return Comparison(window, self._evaluate(history.kind, paired), history.kind)

    def _evaluate(self, kind: ChallengeKind, paired: PairedPredictions) -> GateResult:
        if kind is ChallengeKind.FIRST:  # under either rule: a constant has no F1 to beat
            return must_be_better(paired, self.rules, self.resamples, self.seed)
        if self.rules.rule == "accuracy_f1":
            return by_accuracy_f1(paired)
        rule = must_not_be_worse if kind is ChallengeKind.REFRESH else must_be_better
        return rule(paired, self.rules, self.resamples, self.seed)
