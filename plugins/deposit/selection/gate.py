"""The gate: whether a challenger has earned the champion's place, on rows that neither has seen. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, Probabilities
from deposit.model.evaluation import bootstrap_weights, interval, predict
from deposit.sections import SelectSettings
from deposit.selection.decision import (
    Comparison,
    Criterion,
    CriterionName,
    GateResult,
    Overtaken,
    PairedInterval,
    SharedWindow,
)


@dataclass(frozen=True, eq=False)
class PairedPredictions:
    """The shared window's rows with both models' predictions; arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    baseline: Probabilities
    challenger_threshold: float
    baseline_threshold: float


def compare(
    challenger: ModelArtifact,
    champion: ModelArtifact | None,
    frame: pd.DataFrame,
    rules: SelectSettings,
    resamples: int,
    seed: int,
) -> Comparison:
    """Let both models score the months that neither was trained on; without a champion the baseline is a constant.

    A window without rows, or with one outcome only, gives a result that is not passed.

    Args:
        challenger: the model that wants the place.
        champion: the model that has it.
        frame: rows of the challenger's dataset.
        rules: which criteria there are.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    metadata = challenger.metadata
    seen = max(model.metadata.train_end for model in (challenger, champion) if model is not None)
    rows = frame[(frame["period"] > seen) & (frame["period"] >= metadata.test_start)]
    constant = metadata.development_rate if champion is None else None
    first, last = ("", "") if rows.empty else (rows["period"].iloc[0], rows["period"].iloc[-1])
    window = SharedWindow(seen, len(rows), first, last, int(rows["y"].nunique()))
    if not window.is_comparable:
        return Comparison(window, GateResult(()), constant, _overtaken(champion, frame))
    predictions = _pair(challenger, champion, rows)
    if champion is None:  # whatever the rule: a constant has no F1 to beat
        return Comparison(window, by_log_loss(predictions, rules, resamples, seed), constant)
    return Comparison(window, evaluate_gate(predictions, rules, resamples, seed), constant)


def evaluate_gate(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """Apply the configured rule."""
    if rules.rule == "gate":
        return by_log_loss(predictions, rules, resamples, seed)
    return by_accuracy_f1(predictions)


def by_log_loss(predictions: PairedPredictions, rules: SelectSettings, resamples: int, seed: int) -> GateResult:
    """The paired interval of the log-loss difference lies below 0, and ROC AUC is not much worse."""
    labels = predictions.labels
    losses = [metrics.log_losses(labels, side) for side in (predictions.challenger, predictions.baseline)]
    difference = losses[0] - losses[1]
    samples = [metrics.mean(difference, weights) for weights in bootstrap_weights(predictions.periods, resamples, seed)]
    low, high = interval(np.concatenate(samples), rules.confidence)
    auc = _difference(predictions, metrics.roc_auc)
    criteria = (
        Criterion(CriterionName.LOG_LOSS, high, 0.0, high < 0),
        Criterion(CriterionName.ROC_AUC, auc, -rules.max_auc_loss, auc >= -rules.max_auc_loss),
    )
    return GateResult(criteria, PairedInterval(float(difference.mean()), low, high, rules.confidence))


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


def _pair(challenger: ModelArtifact, champion: ModelArtifact | None, rows: pd.DataFrame) -> PairedPredictions:
    ours = predict(challenger, rows)
    if champion is None:
        theirs, threshold = np.full(len(rows), challenger.metadata.development_rate), 0.5
    else:
        theirs, threshold = predict(champion, rows).probabilities, champion.threshold
    return PairedPredictions(ours.periods, ours.labels, ours.probabilities, theirs, challenger.threshold, threshold)


def _difference(predictions: PairedPredictions, metric: Callable[[Labels, Probabilities], float]) -> float:
    return metric(predictions.labels, predictions.challenger) - metric(predictions.labels, predictions.baseline)


def _overtaken(champion: ModelArtifact | None, frame: pd.DataFrame) -> Overtaken | None:
    end = frame["period"].max()
    if champion is None or champion.metadata.train_end < end:
        return None
    return Overtaken(champion.metadata.train_end, end)
