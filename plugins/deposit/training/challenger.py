"""The challenger: the mixture after the newest labelled month, and what it may be expected to do. Pure."""

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
    """A recipe's months, each predicted from those before it.

    Args:
        recipe: how it was fitted.
        weight: in the model that is served now; 0 if it is left out.
        weights: by which it took part in each month's answers, by month.
        metrics: without intervals, by name.
        curve: by month.
    """

    recipe: Recipe
    weight: float
    weights: Mapping[str, float]
    metrics: Mapping[str, float]
    curve: tuple[MonthMetrics, ...]


@dataclass(frozen=True, eq=False)
class Challenger:
    """A training's model, its members, and its months as they would have been answered.

    Args:
        name: `mixture`, or that of the one recipe.
        artifact: fitted on every labelled month.
        predictions: of its months before.
        metrics: of these, the intervals by rows.
        by_months: the same, the intervals by months.
        curve: by month.
        profits: by month, with intervals.
        members: all recipes.
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
    """Refit the members on every labelled month, and measure what they did forward in time."""
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
        tuple(_scored(standing, recipe, weights.get(recipe.name, 0.0), economics) for recipe in trainer.recipes),
    )


def forward_months(trainer: Trainer, standing: Standing) -> tuple[ForwardMonth, ...]:
    """The months as they would have been answered."""
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
    """The table of recipes and the rule that makes one model of them, as a key."""
    return table_key(trainer.recipes, standing.choice, ETA, SHARE, LEAST_WEIGHT)


def _scored(standing: Standing, recipe: Recipe, weight: float, economics: Economics) -> ScoredRecipe:
    predictions = member_predictions(standing.forward, recipe.name)
    weights = {period: each.get(recipe.name, 0.0) for period, each in standing.history.items()}
    return ScoredRecipe(
        recipe,
        weight,
        weights,
        point_metrics(predictions, standing.thresholds, economics),
        by_month(predictions, economics),
    )
