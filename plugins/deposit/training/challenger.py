"""The challenger: the members refitted on all labelled months, with the performance to expect of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import pandas as pd

from deposit.data.columns import NAMES
from deposit.model.artifact import ForwardMonth, ModelArtifact, ModelMetadata, Parity, Provenance
from deposit.model.evaluation import (
    Economics,
    Interval,
    MonthMetrics,
    MonthProfits,
    Predictions,
    by_month,
    evaluate,
    point_metrics,
    profits_by_month,
)
from deposit.sections import TrainSettings
from deposit.training.fitting import EncodedRows, Member, fit_rates, mix
from deposit.training.profiling import profile_reference
from deposit.training.recipes import FALLBACK, Recipe, table_key
from deposit.training.rolling_origin import Trainer
from deposit.training.weighting import ETA, LEAST_WEIGHT, SHARE, Standing, member_predictions

PARITY_ROWS = 200
MIXTURE: Literal["mixture"] = "mixture"


@dataclass(frozen=True, eq=False)
class ScoredRecipe:
    """A recipe with its rolling-origin results: each month is predicted from the months before it.

    Args:
        recipe: how the member is fitted.
        weight: weight in the challenger; 0 if the member is left out.
        weights: weight in the prediction of each month, by month.
        metrics: metrics by name, without intervals.
        curve: metrics by month.
    """

    recipe: Recipe
    weight: float
    weights: Mapping[str, float]
    metrics: Mapping[str, float]
    curve: tuple[MonthMetrics, ...]


@dataclass(frozen=True, eq=False)
class Challenger:
    """The model of a training run, with its rolling-origin results and all recipes of the training.

    Args:
        name: `mixture`, or the name of the recipe if the model has only one.
        artifact: model fitted on every labelled month.
        predictions: rolling-origin predictions.
        metrics: metrics of these predictions, with intervals from resampled rows.
        by_months: the same metrics, with intervals from resampled months.
        curve: metrics by month.
        profits: profits by month, with intervals.
        members: all recipes, including those with weight 0.
    """

    name: str
    artifact: ModelArtifact
    predictions: Predictions
    metrics: Mapping[str, Interval]
    by_months: Mapping[str, Interval]
    curve: tuple[MonthMetrics, ...]
    profits: tuple[MonthProfits, ...]
    members: tuple[ScoredRecipe, ...]


def make_challenger(
    trainer: Trainer, standing: Standing, settings: TrainSettings, economics: Economics, provenance: Provenance
) -> Challenger:
    """Refit the members on every labelled month, and evaluate the rolling-origin predictions."""
    weights, labelled = standing.weights(), sorted(trainer.months)
    rows, members = trainer.fit(labelled, [each for each in trainer.recipes if each.name in weights])
    artifact = _artifact(trainer, standing, weights, rows, members, provenance)
    predictions, thresholds = standing.predictions, standing.thresholds
    measured = (predictions, thresholds, economics, settings.bootstrap, settings.seed)
    return Challenger(
        MIXTURE if standing.choice == "gate" and len(trainer.recipes) > 1 else next(iter(weights)),
        artifact,
        predictions,
        evaluate(*measured, "rows"),
        evaluate(*measured, "months"),
        by_month(predictions, economics),
        profits_by_month(predictions, economics, settings.bootstrap, settings.seed),
        tuple(_score_recipe(standing, recipe, weights.get(recipe.name, 0.0), economics) for recipe in trainer.recipes),
    )


def forward_months(trainer: Trainer, standing: Standing) -> tuple[ForwardMonth, ...]:
    """The rolling-origin predictions by month, as stored with the model."""
    months = []
    for fold in standing.forward.folds:
        rows = standing.forward.rows(fold.period)
        threshold = float(standing.thresholds[rows][0])
        probabilities = tuple(standing.predictions.probabilities[rows].tolist())
        months.append(ForwardMonth(fold.period, trainer.digests[fold.period], threshold, probabilities))
    return tuple(months)


def _artifact(
    trainer: Trainer,
    standing: Standing,
    weights: Mapping[str, float],
    rows: EncodedRows,
    members: list[Member],
    provenance: Provenance,
) -> ModelArtifact:
    labelled = sorted(trainer.months)
    encoder, mixture = rows.encoder, mix(members, weights, rows.encoder)
    plain = ModelArtifact(MIXTURE, encoder, mixture, 0.0, standing.threshold())
    frame, folds = pd.concat([trainer.months[period] for period in labelled]), standing.forward.folds
    newest = frame[frame["period"] >= folds[0].period]
    sample = newest.iloc[np.linspace(0, len(newest) - 1, min(PARITY_ROWS, len(newest))).astype(int)]
    parity = sample[list(NAMES)].to_numpy(dtype=object).tolist()
    scored = {f"weight_{name}": round(weight, 6) for name, weight in weights.items()}
    metadata = ModelMetadata(
        **msgspec.structs.asdict(provenance),
        recipe={"kind": MIXTURE, "table": table_of(trainer, standing), "eta": ETA, "share": SHARE, **scored},
        train_start=labelled[0],
        train_end=labelled[-1],
        test_start=folds[0].period,
        test_end=folds[-1].period,
        development_rows=len(frame),
        development_rate=float(frame["y"].mean()),
    )
    return ModelArtifact(
        **{
            **vars(plain),
            "metadata": metadata,
            "parity": Parity(parity, plain.probabilities(encoder.encode_rows(parity)).tolist()),
            "reference": profile_reference(frame, plain.probabilities(rows.matrix), fit_rates(FALLBACK, rows)),
            "forward": forward_months(trainer, standing),
        }
    )


def table_of(trainer: Trainer, standing: Standing) -> str:
    """Key of the recipe table and of the rule that combines its members into one model."""
    return table_key(trainer.recipes, standing.choice, ETA, SHARE, LEAST_WEIGHT)


def _score_recipe(standing: Standing, recipe: Recipe, weight: float, economics: Economics) -> ScoredRecipe:
    predictions = member_predictions(standing.forward, recipe.name)
    weights = {period: each.get(recipe.name, 0.0) for period, each in standing.history.items()}
    return ScoredRecipe(
        recipe,
        weight,
        weights,
        point_metrics(predictions, standing.thresholds, economics),
        by_month(predictions, economics),
    )
