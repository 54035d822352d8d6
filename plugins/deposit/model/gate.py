"""The gate: whether a challenger has earned the champion's place, on rows that neither has seen. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Probabilities
from deposit.model.evaluation import interval, resampled
from deposit.model.recipes import Labels
from deposit.sections import SelectSettings


@dataclass(frozen=True)
class Criterion:
    """One condition: `value` held against `threshold`."""

    name: str
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True, eq=False)
class Contest:
    """The shared window's rows, and what each side says of them; arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    champion: Probabilities
    challenger_threshold: float
    champion_threshold: float


@dataclass(frozen=True)
class Verdict:
    """Passed only if every criterion is; `summary` says in words what was found."""

    criteria: tuple[Criterion, ...]
    summary: str

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes champion."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)


def judge(contest: Contest, settings: SelectSettings, resamples: int, seed: int) -> Verdict:
    """Apply the configured rule."""
    if settings.rule == "gate":
        return by_log_loss(contest, settings, resamples, seed)
    return by_accuracy_f1(contest)


def by_log_loss(contest: Contest, settings: SelectSettings, resamples: int, seed: int) -> Verdict:
    """The paired interval of the log-loss difference lies below 0, and ROC AUC is not much worse."""
    losses = [metrics.log_losses(contest.labels, side) for side in (contest.challenger, contest.champion)]
    difference = losses[0] - losses[1]
    samples = [metrics.mean(difference, weights) for weights in resampled(contest.periods, resamples, seed)]
    low, high = interval(np.concatenate(samples), settings.confidence)
    auc = _difference(contest, metrics.roc_auc)
    criteria = (
        Criterion("log_loss_difference_upper_end", high, 0.0, high < 0),
        Criterion("roc_auc_difference", auc, -settings.max_auc_loss, auc >= -settings.max_auc_loss),
    )
    return Verdict(
        criteria,
        f"log loss {float(difference.mean()):+.4f} ({settings.confidence:.0%} paired interval {low:+.4f} to "
        f"{high:+.4f}, must lie below 0), ROC AUC {auc:+.4f} (at least {-settings.max_auc_loss:+.2f})",
    )


def by_accuracy_f1(contest: Contest) -> Verdict:
    """Accuracy and F1, each side at its own threshold: neither worse, at least one better."""
    ones = np.ones((1, len(contest.labels)))
    sides = [
        contest.challenger >= contest.challenger_threshold,
        contest.champion >= contest.champion_threshold,
    ]
    accuracy = [float(metrics.mean(called == (contest.labels == 1), ones)[0]) for called in sides]
    f1 = [float(metrics.f1(contest.labels, called, ones)[0]) for called in sides]
    gains = accuracy[0] - accuracy[1], f1[0] - f1[1]
    criteria = (
        Criterion("accuracy_difference", gains[0], 0.0, gains[0] >= 0),
        Criterion("f1_difference", gains[1], 0.0, gains[1] >= 0),
        Criterion("larger_of_both_differences", max(gains), 0.0, max(gains) > 0),
    )
    return Verdict(criteria, f"accuracy {gains[0]:+.4f} and F1 {gains[1]:+.4f} (neither worse, at least one better)")


def _difference(contest: Contest, metric: Callable[[Labels, Probabilities], float]) -> float:
    return metric(contest.labels, contest.challenger) - metric(contest.labels, contest.champion)
