"""Weights of the mixture's members, and the mixture's rolling-origin predictions. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.evaluation import MONTH_ROWS, Predictions
from deposit.model.mixture import Values
from deposit.training.rolling_origin import Fold, ForwardPredictions

ETA = 5.0
"""Learning rate on a month's mean log loss. From 2 to 10 it changes no metric by more than .002 on the public data."""
SHARE = 0.05
"""Share of the weight spread evenly after each month, so that members can recover; 0 to .2 give similar results."""
LEAST_WEIGHT = 0.01
"""Members with a lower weight are left out."""
THRESHOLD_MONTHS = 6
"""Number of newest labelled months on which the threshold maximises F1."""
Choice = Literal["gate", "accuracy_f1"]


def exponential_weights(losses: Values) -> Values:
    """Weights after some months, shape (members,): exponential weights with a fixed share (Herbster, Warmuth 1998).

    Args:
        losses: mean log loss by month and member, shape (months, members), oldest first.

    >>> exponential_weights(np.array([[0.3, 0.5]])).round(3).tolist()
    [0.72, 0.28]
    """
    weights = np.full(losses.shape[1], 1 / losses.shape[1])
    for month in losses:
        weights = weights * np.exp(-ETA * (month - month.min()))
        weights = (1 - SHARE) * weights / weights.sum() + SHARE / len(weights)
    return weights


def best_f1_threshold(labels: NDArray[np.int8], probabilities: Values) -> float:
    """The threshold with the highest F1; probabilities from it on count as `yes`.

    >>> best_f1_threshold(np.array([1, 0, 1, 0]), np.array([0.9, 0.4, 0.6, 0.2]))
    0.6
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order], dtype=np.int64)[ends]
    f1 = 2 * hits / (ends + 1 + labels.sum(dtype=np.int64))
    return float(ranked[ends[f1.argmax()]])


@dataclass(frozen=True, eq=False)
class Standing:
    """The members' weights month by month, each computed from the months that were labelled at the time.

    Args:
        forward: rolling-origin predictions of the members.
        choice: `gate` mixes the members; `accuracy_f1` takes the member with the best mean of accuracy and F1.
    """

    forward: ForwardPredictions
    choice: Choice = "gate"

    def weights(self, fold: Fold | None = None) -> dict[str, float]:
        """Weights by member at a fold, or after all months without a fold; members without weight are left out."""
        known = self.forward.until(fold.labelled) if fold else self.forward
        weights = _CHOICES[self.choice](known)
        weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
        weights = weights / weights.sum()
        return {name: float(each) for name, each in zip(self.forward.recipes, weights, strict=True) if each}

    @cached_property
    def history(self) -> dict[str, dict[str, float]]:
        """Weights behind the predictions of each month, by month and member."""
        return {fold.period: self.weights(fold) for fold in self.forward.folds}

    @cached_property
    def predictions(self) -> Predictions:
        """Rolling-origin predictions of the mixture, row by row."""
        forward = self.forward
        log_odds = np.empty(len(forward.labels))
        for period, weights in self.history.items():
            rows = forward.rows(period)
            by_member = np.array([weights.get(name, 0.0) for name in forward.recipes])
            log_odds[rows] = by_member @ forward.log_odds[:, rows]
        return Predictions(forward.periods, forward.labels, sigmoid(log_odds))

    @cached_property
    def thresholds(self) -> Values:
        """Threshold of each row, as it was at the row's month."""
        thresholds = np.empty(len(self.forward.labels))
        for fold in self.forward.folds:
            thresholds[self.forward.rows(fold.period)] = self.threshold(fold)
        return thresholds

    def threshold(self, fold: Fold | None = None) -> float:
        """Threshold that maximises F1 on the newest months labelled at a fold; without a fold, on the newest of all.

        0.5 if no month is labelled yet.
        """
        known = [each.period for each in self.forward.folds if fold is None or each.period in fold.labelled]
        rows = np.isin(self.forward.periods, known[-THRESHOLD_MONTHS:])
        if not rows.any():
            return 0.5
        return best_f1_threshold(self.predictions.labels[rows], self.predictions.probabilities[rows])


def member_predictions(forward: ForwardPredictions, name: str) -> Predictions:
    """Rolling-origin predictions of one member."""
    place = forward.recipes.index(name)
    return Predictions(forward.periods, forward.labels, sigmoid(forward.log_odds[place]))


def sigmoid(log_odds: Values) -> Values:
    """Probabilities from log-odds."""
    probabilities: Values = 1 / (1 + np.exp(-log_odds))
    return probabilities


def _mixed(forward: ForwardPredictions) -> Values:
    probabilities = sigmoid(forward.log_odds)
    losses = [
        [metrics.log_loss(forward.labels[rows], each[rows]) for each in probabilities]
        for rows in (forward.rows(fold.period) for fold in forward.folds)
        if rows.sum() >= MONTH_ROWS
    ]
    return exponential_weights(np.array(losses).reshape(len(losses), len(forward.recipes)))


def _best(forward: ForwardPredictions) -> Values:
    """All weight on the member with the best mean of accuracy and F1; on the first one if no month is labelled yet."""
    scores = [_accuracy_and_f1(forward.labels, each) for each in sigmoid(forward.log_odds)]
    weights = np.zeros(len(scores))
    weights[int(np.argmax(scores))] = 1.0
    return weights


def _accuracy_and_f1(labels: NDArray[np.int8], probabilities: Values) -> float:
    if not len(labels):
        return 0.0
    called, ones = probabilities >= best_f1_threshold(labels, probabilities), np.ones((1, len(labels)))
    return float((metrics.mean(called == (labels == 1), ones) + metrics.f1(labels, called, ones))[0] / 2)


_CHOICES: dict[Choice, Callable[[ForwardPredictions], Values]] = {"gate": _mixed, "accuracy_f1": _best}
