"""Backtest: apply the refit policy month by month to the rows of a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deposit.data import dataset as datasets
from deposit.model.evaluation import (
    Economics,
    Interval,
    MonthMetrics,
    MonthProfits,
    Predictions,
    Resampled,
    by_month,
    evaluate,
    profits_by_month,
)
from deposit.model.mixture import Values
from deposit.progress import Progress, log_progress
from deposit.sections import TrainSettings
from deposit.selection.decision import ChallengeKind
from deposit.selection.gate import ChallengeHistory, RefitPolicy
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history
from deposit.training.fitting import mix
from deposit.training.rolling_origin import Fold, Trainer
from deposit.training.training import trainer_of
from deposit.training.weighting import Standing, member_predictions, sigmoid


@dataclass(frozen=True)
class PolicyMonth:
    """What the policy did for a month, before its labels were known.

    Args:
        period: YYYY-MM.
        train_end: newest month that the champion of this month was fitted on.
        promoted: whether a new model was promoted for this month.
        weights: weights of the champion, by member.
    """

    period: str
    train_end: str
    promoted: bool
    weights: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Backtest:
    """The policy's months, with the predictions and thresholds of their champions."""

    months: tuple[PolicyMonth, ...]
    predictions: Predictions
    thresholds: Values


def backtest(trainer: Trainer, standing: Standing, policy: RefitPolicy) -> Backtest:
    """Run the policy over all folds: each month has a challenger, which is judged by the labels known at the time."""
    forward = standing.forward
    probabilities = np.full(len(forward.labels), np.nan)
    months: list[PolicyMonth] = []
    champion = forward.folds[0]
    for fold in forward.folds:
        promoted = fold is champion
        if not promoted:
            promoted = policy.decide(_history(trainer, standing, champion, fold), fold.period).result.passed
            champion = fold if promoted else champion
        rows = forward.rows(fold.period)
        probabilities[rows] = _predict(trainer, standing, champion, fold)
        months.append(PolicyMonth(fold.period, champion.labelled[-1], promoted, standing.history[champion.period]))
    predictions = Predictions(forward.periods, forward.labels, probabilities)
    return Backtest(tuple(months), predictions, standing.thresholds)


def _history(trainer: Trainer, standing: Standing, champion: Fold, now: Fold) -> ChallengeHistory:
    """Predictions of a champion: of its recipe table for the months before it was fitted, its own from then on."""
    forward, predictions = standing.forward, standing.predictions
    baseline = np.full(len(forward.labels), np.nan)
    for fold in forward.folds:
        if fold.period in now.labelled:
            baseline[forward.rows(fold.period)] = _predict(trainer, standing, champion, fold)
    return ChallengeHistory(
        ChallengeKind.REFRESH,
        forward.periods,
        forward.labels,
        predictions.probabilities,
        baseline,
        standing.thresholds,
        np.where(forward.periods > champion.period, standing.threshold(champion), standing.thresholds),
        champion.labelled[-1],
    )


def _predict(trainer: Trainer, standing: Standing, champion: Fold, fold: Fold) -> Values:
    """Predictions for a fold's month by the model that was fitted for the month of `champion`."""
    rows = standing.forward.rows(fold.period)
    if fold.period <= champion.period:
        return standing.predictions.probabilities[rows]
    weights = standing.history[champion.period]
    encoded, members = trainer.fit(champion.labelled, [each for each in trainer.recipes if each.name in weights])
    matrix = encoded.encoder.encode_columns(trainer.months[fold.period])
    return sigmoid(mix(members, weights, encoded.encoder).log_odds(matrix))


@dataclass(frozen=True)
class EvaluatedModel:
    """The policy or a recipe: metrics with intervals by rows and by months, and its monthly metrics and profits."""

    name: str
    by_rows: Mapping[str, Interval]
    by_months: Mapping[str, Interval]
    curve: tuple[MonthMetrics, ...]
    profits: tuple[MonthProfits, ...]


@dataclass(frozen=True)
class Evaluation:
    """Rolling-origin evaluation of a dataset: the policy and every recipe, with the prices behind the profits."""

    dataset: str
    economics: Economics
    months: tuple[PolicyMonth, ...]
    policy: EvaluatedModel
    recipes: tuple[EvaluatedModel, ...]


def evaluate_dataset(
    settings: Settings, dataset: str | None = None, periods: Sequence[str] = (), progress: Progress = log_progress
) -> Evaluation:
    """Evaluate the policy and each recipe forward in time on a dataset version, by default the one ingested last.

    Args:
        settings: prices, label delay and all other settings.
        dataset: dataset version.
        periods: months to exclude, because their data is broken.
        progress: callback, called for each month.

    Raises SourceError (no such dataset), DataError (too short a history), IntegrityError or UpstreamError.
    """
    version = dataset or history.newest_dataset(settings.store).version
    frame = datasets.load(ObjectStore(settings.store).data, version, tuple(periods))
    trainer = trainer_of(settings.store, settings.train, settings.compute, frame, progress)
    standing = Standing(trainer.score(), settings.select.rule)
    policy = RefitPolicy(settings.select, settings.train.label_delay, settings.train.bootstrap, settings.train.seed)
    tested, economics = backtest(trainer, standing, policy), Economics.of(settings.economics)
    progress("resampling calls and months")
    recipes = [
        _evaluate(economics, settings.train, name, member_predictions(standing.forward, name), tested.thresholds)
        for name in standing.forward.recipes
    ]
    evaluated = _evaluate(economics, settings.train, "policy", tested.predictions, tested.thresholds)
    return Evaluation(version, economics, tested.months, evaluated, tuple(recipes))


def _evaluate(
    economics: Economics, train: TrainSettings, name: str, predictions: Predictions, thresholds: Values
) -> EvaluatedModel:
    def intervals(resampled: Resampled) -> dict[str, Interval]:
        return evaluate(predictions, thresholds, economics, train.bootstrap, train.seed, resampled)

    profits = profits_by_month(predictions, economics, train.bootstrap, train.seed)
    return EvaluatedModel(name, intervals("rows"), intervals("months"), by_month(predictions, economics), profits)
