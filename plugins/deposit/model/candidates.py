"""Candidates: chosen on development rows alone, refitted on all of them, measured once on the test window. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from deposit.data.columns import LEAKED, NAMES
from deposit.errors import DataError
from deposit.model.artifact import ModelArtifact, Parity
from deposit.model.calibration import Calibration, calibrate
from deposit.model.encoder import Encoder
from deposit.model.evaluation import Economics, Interval, evaluate, point_metrics
from deposit.model.forward import Folds, Predictions
from deposit.model.profiling import reference_of
from deposit.model.recipes import FEATURE_SETS, Examples, parameters, recency_weights
from deposit.model.search import Search, best_logistic, best_xgboost
from deposit.model.windows import Windows
from deposit.progress import Progress
from deposit.sections import TrainSettings

PARITY_ROWS = 200


@dataclass(frozen=True, eq=False)
class Choice:
    """A candidate as chosen; nothing in it has seen the test window."""

    name: str
    search: Search
    calibration: Calibration
    validation: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A choice refitted on all development rows, with its test window's predictions and metrics."""

    choice: Choice
    artifact: ModelArtifact
    predictions: Predictions
    test: Mapping[str, Interval]

    @property
    def name(self) -> str:
        """`logistic` or `xgboost`."""
        return self.choice.name


def choose(development: pd.DataFrame, windows: Windows, settings: TrainSettings, progress: Progress) -> list[Choice]:
    """Recipe, calibration and threshold of each candidate; the one with the lowest validation log loss first."""
    folds = Folds(development, windows, settings.seed, settings.threads)
    searches = {
        "logistic": best_logistic(folds, progress),
        "xgboost": best_xgboost(folds, settings.trials, settings.seed, progress),
    }
    choices = [_chosen(name, search, folds, settings) for name, search in searches.items()]
    return sorted(choices, key=lambda choice: choice.validation["log_loss"])


def finish(
    choice: Choice, frame: pd.DataFrame, windows: Windows, settings: TrainSettings, provenance: Mapping[str, Any]
) -> Candidate:
    """Refit a choice on the development rows and measure what will be deployed on the test rows."""
    development, test = rows_of(frame, windows.development), rows_of(frame, windows.test)
    artifact = refit(choice, development, settings)
    predictions = predict(artifact, test)
    chosen = test.iloc[np.linspace(0, len(test) - 1, min(PARITY_ROWS, len(test))).astype(int)]
    rows = chosen[list(NAMES)].to_numpy(dtype=object).tolist()
    parity = Parity(rows, artifact.probabilities(artifact.encoder.encode_rows(rows)).tolist())
    metadata = {
        **provenance,
        "recipe": parameters(choice.search.best),
        "trained_from": windows.development[0],
        "trained_through": windows.trained_through,
        "tested_from": windows.test[0],
        "tested_through": windows.test[-1],
        "development_rows": len(development),
        "development_rate": float(development["y"].mean()),
    }
    measured = evaluate(predictions, artifact.threshold, Economics.of(settings), settings.bootstrap, settings.seed)
    counted = reference_of(development, predict(artifact, development).probabilities)
    complete = replace(artifact, metadata=metadata, parity=parity, reference=counted)
    return Candidate(choice, complete, predictions, measured)


def refit(choice: Choice, development: pd.DataFrame, settings: TrainSettings) -> ModelArtifact:
    """A choice's recipe fitted on all development rows, with its calibration and threshold."""
    recipe = choice.search.best
    encoder = Encoder.fit(development, FEATURE_SETS[recipe.features])
    weights = recency_weights(development["period"].to_numpy(dtype=str), recipe.half_life)
    examples = Examples(encoder.encode_columns(development), development["y"].to_numpy(np.int8), weights)
    scorer = recipe.fit(examples, settings.seed)
    return ModelArtifact(recipe.kind, encoder, scorer, choice.calibration.shift, choice.calibration.threshold, {})


def predict(artifact: ModelArtifact, frame: pd.DataFrame) -> Predictions:
    """A model's predictions of the rows of a frame."""
    probabilities = artifact.probabilities(artifact.encoder.encode_columns(frame))
    return Predictions(frame["period"].to_numpy(dtype=str), frame["y"].to_numpy(np.int8), probabilities)


def rows_of(frame: pd.DataFrame, periods: tuple[str, ...]) -> pd.DataFrame:
    """The rows of some periods. Raises DataError if the frame holds `duration`."""
    if LEAKED in frame:
        raise DataError(f"{LEAKED} is known only after the call: a model must not use it; ingest the data without it")
    return frame[frame["period"].isin(periods)]


def _chosen(name: str, search: Search, folds: Folds, settings: TrainSettings) -> Choice:
    calibration = calibrate(folds.pooled(search.best))
    validation = point_metrics(calibration.served, calibration.threshold, Economics.of(settings))
    return Choice(name, search, calibration, validation)
