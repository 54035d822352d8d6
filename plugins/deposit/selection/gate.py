"""The gate: whether a challenger has earned the champion's place, on rows that neither has seen. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data import dataset as datasets
from deposit.errors import IntegrityError
from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, Probabilities
from deposit.model.evaluation import interval, predict, resampled
from deposit.registry import registry
from deposit.registry.registry import Version
from deposit.sections import SelectSettings
from deposit.settings import Settings
from deposit.store import ObjectStore


@dataclass(frozen=True)
class Criterion:
    """One condition: `value` held against `threshold`."""

    name: str
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True, eq=False)
class PairedPredictions:
    """The shared window's rows, and what each side says of them; arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    champion: Probabilities
    challenger_threshold: float
    champion_threshold: float


@dataclass(frozen=True)
class GateResult:
    """Passed only if every criterion is; `summary` says in words what was found."""

    criteria: tuple[Criterion, ...]
    summary: str

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes champion."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)


def evaluate_gate(contest: PairedPredictions, settings: SelectSettings, resamples: int, seed: int) -> GateResult:
    """Apply the configured rule."""
    if settings.rule == "gate":
        return by_log_loss(contest, settings, resamples, seed)
    return by_accuracy_f1(contest)


def by_log_loss(contest: PairedPredictions, settings: SelectSettings, resamples: int, seed: int) -> GateResult:
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
    return GateResult(
        criteria,
        f"log loss {float(difference.mean()):+.4f} ({settings.confidence:.0%} paired interval {low:+.4f} to "
        f"{high:+.4f}, must lie below 0), ROC AUC {auc:+.4f} (at least {-settings.max_auc_loss:+.2f})",
    )


def by_accuracy_f1(contest: PairedPredictions) -> GateResult:
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
    return GateResult(criteria, f"accuracy {gains[0]:+.4f} and F1 {gains[1]:+.4f} (neither worse, at least one better)")


def _difference(contest: PairedPredictions, metric: Callable[[Labels, Probabilities], float]) -> float:
    return metric(contest.labels, contest.challenger) - metric(contest.labels, contest.champion)


@dataclass(frozen=True)
class Overtaken:
    """The rival was trained through the last month that the challenger's dataset has, or a later one (YYYY-MM)."""

    rival_through: str
    dataset_end: str


@dataclass(frozen=True)
class Comparison:
    """The verdict on a contest; `rival` and `where` say in words against whom and on which rows.

    `overtaken` if no later data of the challenger can ever be new to the rival, as when the rival's months are wrong.
    """

    verdict: GateResult
    rival: str
    where: str
    overtaken: Overtaken | None = None


def compare(settings: Settings, challenger: Version, champion: Version | None) -> Comparison:
    """Let both models score the months that neither was trained on; without a champion the rival is a constant.

    A window without rows, or with one outcome only, gives a verdict that is not passed. Raises IntegrityError.
    """
    model = registry.load(settings, challenger)
    rival = _baseline(settings, champion, challenger) if champion else None
    left_out = model.metadata.get("left_out", ())
    frame = datasets.load(ObjectStore(settings.store), settings.store.data_bucket, model.metadata["dataset"], left_out)
    seen = max(side.metadata["trained_through"] for side in (model, rival) if side is not None)
    rows = frame[(frame["period"] > seen) & (frame["period"] >= model.metadata["tested_from"])]
    rate = float(model.metadata["development_rate"])
    name = champion.model_id if champion else f"a constant (the development rate, {rate:.1%})"
    if rows["y"].nunique() < 2:
        found = "no call" if rows.empty else f"one outcome only in {len(rows)} calls"
        return Comparison(
            GateResult((), f"there is {found} to compare on"), name, f"after {seen}", _overtaken(rival, frame)
        )
    where = f"{len(rows):,} calls of {rows['period'].iloc[0]} to {rows['period'].iloc[-1]}"
    return Comparison(_verdict(settings, _contest(model, rival, rows, rate), champion is None), name, where)


def _baseline(settings: Settings, champion: Version, challenger: Version) -> ModelArtifact:
    try:
        return registry.load(settings, champion)
    except IntegrityError as error:
        raise IntegrityError(
            f"{error}; or `deposit promote {challenger.model_id}` puts the challenger in its place"
        ) from error


def _overtaken(rival: ModelArtifact | None, frame: pd.DataFrame) -> Overtaken | None:
    end = frame["period"].max()
    if rival is None or rival.metadata["trained_through"] < end:
        return None
    return Overtaken(rival.metadata["trained_through"], end)


def _verdict(settings: Settings, contest: PairedPredictions, first: bool) -> GateResult:
    resamples, seed = settings.train.bootstrap, settings.train.seed
    if first:  # whatever the rule: a constant has no F1 to beat
        return by_log_loss(contest, settings.select, resamples, seed)
    return evaluate_gate(contest, settings.select, resamples, seed)


def _contest(model: ModelArtifact, rival: ModelArtifact | None, rows: pd.DataFrame, rate: float) -> PairedPredictions:
    ours = predict(model, rows)
    theirs = predict(rival, rows).probabilities if rival else np.full(len(rows), rate)
    threshold = rival.threshold if rival else 0.5
    return PairedPredictions(ours.periods, ours.labels, ours.probabilities, theirs, model.threshold, threshold)
