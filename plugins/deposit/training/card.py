"""Figures of the model card: what an auditor needs to know about a model, stored as JSON. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from deposit.errors import IntegrityError
from deposit.model.artifact import ModelMetadata
from deposit.model.evaluation import Economics, Predictions
from deposit.model.metrics import BINS
from deposit.model.mixture import Mixture
from deposit.model.worth import AT_CAPACITY
from deposit.training.slices import Slices, find_slices

if TYPE_CHECKING:
    import pandas as pd

    from deposit.training.challenger import Challenger

_PROFITS = {
    "profit": "Profit of the model's calls",
    "profit_expected": "Profit of these calls as predicted",
    "profit_random": "Profit of as many calls at random",
    "profit_call_everyone": "Profit of calling everyone",
    "profit_over_everyone": "Profit less that of calling everyone",
    "profit_oracle": "Profit of an oracle",
}
LABELS = {
    "roc_auc_month_mean": "ROC AUC, mean of the months",
    "capture_30_month_mean": "Subscribers in the best 30 %, mean of the months",
    **_PROFITS,
    **{f"{name}{AT_CAPACITY}": f"{label}, at capacity" for name, label in _PROFITS.items()},
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "roc_auc": "ROC AUC, all months pooled",
    "pr_auc": "PR AUC (average precision), all months pooled",
    "lift_10": "Lift in the best 10 %, all months pooled",
    "capture_30": "Subscribers in the best 30 %, all months pooled",
    "accuracy": "Accuracy at the threshold",
    "f1": "F1 at the threshold",
}


class CardMetric(msgspec.Struct, frozen=True):
    """A metric over all scored months, with intervals from resampled calls and from resampled months."""

    value: float | None
    low: float | None
    high: float | None
    month_low: float | None
    month_high: float | None


class CardMonth(msgspec.Struct, frozen=True):
    """Rolling-origin metrics of a month."""

    period: str
    rows: int
    rate: float
    roc_auc: float | None
    log_loss: float
    profit: float
    profit_call_everyone: float


class CardMember(msgspec.Struct, frozen=True):
    """A recipe, its weight in the model (0 if it is left out), and its metrics on its own."""

    name: str
    weight: float
    metrics: Mapping[str, float | None]


class CalibrationBin(msgspec.Struct, frozen=True):
    """Calls with probabilities in one tenth: their number, mean probability and subscription rate."""

    rows: int
    predicted: float
    observed: float


class CardFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Card figures that are known after training.

    Args:
        name: `mixture`, or the name of the recipe if the model has only one.
        columns: columns that the model uses.
        deposit_value: value of a subscription, for profits and the choice of calls.
        call_cost: cost of a call, likewise.
        contributions: mean absolute contribution of each column to the log-odds, largest first.
    """

    name: str
    metadata: ModelMetadata
    columns: tuple[str, ...]
    deposit_value: float
    call_cost: float
    metrics: Mapping[str, CardMetric]
    curve: tuple[CardMonth, ...]
    members: tuple[CardMember, ...]
    calibration: tuple[CalibrationBin, ...]
    slices: Slices
    contributions: Mapping[str, float]


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was live earlier: its monitored months (YYYY-MM), and why it went live.

    Args:
        months: number of monitored months.
        first: first monitored month; empty if there is none.
        last: last monitored month; empty if there is none.
        predictions: predictions in these months.
        roc_auc: mean over the months with known outcomes.
    """

    model_id: str
    months: int
    first: str
    last: str
    predictions: int
    roc_auc: float | None
    why: str


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model card; before the model's first release it has no id, no reason and no history.

    Stored cards are read by later versions: a new field of these structs needs a default.
    """

    figures: CardFigures
    model_id: str = ""
    why: str = ""
    history: tuple[ServedModel, ...] = ()


def figures_of(challenger: "Challenger", frame: "pd.DataFrame", economics: Economics, seed: int) -> CardFigures:
    """Card figures of a challenger; `frame` has the rows of its predictions, in the same order."""
    from deposit.training.profiling import mean_contributions  # imports pandas, which reading a card does not need

    artifact, scorer = challenger.artifact, challenger.artifact.scorer
    return CardFigures(
        name=challenger.name,
        metadata=artifact.metadata,
        columns=tuple(artifact.encoder.columns),
        deposit_value=economics.deposit_value,
        call_cost=economics.call_cost,
        metrics={
            name: CardMetric(each.value, each.low, each.high, months.low, months.high)
            for name, each in challenger.metrics.items()
            for months in [challenger.by_months[name]]
        },
        curve=tuple(
            CardMonth(**{name: value for name, value in asdict(month).items() if name in CardMonth.__struct_fields__})
            for month in challenger.curve
        ),
        members=tuple(
            CardMember(each.recipe.name, each.weight, dict(each.metrics))
            for each in sorted(challenger.members, key=lambda each: -each.weight)
        ),
        calibration=tuple(_calibration(challenger.predictions)),
        slices=find_slices(frame, challenger.predictions, economics, seed),
        contributions=mean_contributions(artifact, scorer) if isinstance(scorer, Mixture) else {},
    )


def parse_figures(content: bytes) -> CardFigures:
    """Parse card figures as stored by a training. Raises IntegrityError."""
    return _decode(content, CardFigures, "train the model again")


def parse_card(content: bytes) -> ModelCard:
    """Parse a model card as stored by a release. Raises IntegrityError."""
    return _decode(content, ModelCard, "delete it: the next request for the release recreates it")


_Kind = TypeVar("_Kind", CardFigures, ModelCard)


def _decode(content: bytes, kind: type[_Kind], remedy: str) -> _Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"the JSON of a model card is damaged ({error}): restore it, or {remedy}") from error


def _calibration(predictions: Predictions) -> Iterator[CalibrationBin]:
    bins = np.minimum((predictions.probabilities * BINS).astype(int), BINS - 1)
    for place in np.unique(bins):
        rows = bins == place
        predicted, observed = predictions.probabilities[rows].mean(), predictions.labels[rows].mean()
        yield CalibrationBin(int(rows.sum()), float(predicted), float(observed))
