"""Calibration and threshold, learned from forward predictions alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from deposit.data.columns import LEAKAGE_COLUMN, NAMES
from deposit.errors import DataError
from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, Parity, Probabilities
from deposit.model.encoder import Encoder
from deposit.model.evaluation import Economics, Interval, Predictions, evaluate, point_metrics, predict
from deposit.progress import Progress
from deposit.sections import TrainSettings
from deposit.training.profiling import profile_reference
from deposit.training.recipes import FEATURE_SETS, TrainingSet, parameters, recency_weights
from deposit.training.search import TuningResult, best_logistic, best_xgboost
from deposit.training.windows import RollingOriginFolds, Windows

SHRINKAGE = 100.0
"""Information (n · rate · (1 - rate)) at which half of a shift is believed."""
_FURTHEST = 20.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is deployed (`shift`, `threshold`) and the forward predictions as they would have been served."""

    shift: float
    threshold: float
    served: Predictions


def calibrate(forward: Predictions) -> Calibration:
    """The shrunk intercept shift if, learned and applied forward, it lowers the log loss; and the best-F1 threshold."""
    shifted = Predictions(forward.periods, forward.labels, _shifted_forward(forward))
    helps = metrics.log_loss(shifted.labels, shifted.probabilities) < metrics.log_loss(
        forward.labels, forward.probabilities
    )
    served = shifted if helps else forward
    shift = shrunk_shift(forward.labels, forward.probabilities) if helps else 0.0
    return Calibration(shift, best_f1_threshold(served.labels, served.probabilities), served)


def shrunk_shift(labels: Labels, probabilities: Probabilities) -> float:
    """What to add to the log-odds so that their mean meets the rate, shrunk by I / (I + 100)."""
    if not len(labels):
        return 0.0
    rate = float(labels.mean())
    information = len(labels) * rate * (1 - rate)
    if not information:
        return 0.0
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if shifted(probabilities, middle).mean() < rate else (low, middle)
    return (low + high) / 2 * information / (information + SHRINKAGE)


def shifted(probabilities: Probabilities, shift: float) -> Probabilities:
    """Probabilities with `shift` added to their log-odds."""
    odds = probabilities / (1 - probabilities) * np.exp(shift)
    moved: Probabilities = odds / (1 + odds)
    return moved


def best_f1_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """The probability from which on `yes` gives the highest F1."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order], dtype=np.int64)[ends]
    f1 = 2 * hits / (ends + 1 + labels.sum(dtype=np.int64))
    return float(ranked[ends[f1.argmax()]])


def _shifted_forward(forward: Predictions) -> Probabilities:
    """Each period shifted by what the periods before it teach; the first is left as it is."""
    moved = forward.probabilities.copy()
    for period in np.unique(forward.periods):
        before, now = forward.periods < period, forward.periods == period
        moved[now] = shifted(moved[now], shrunk_shift(forward.labels[before], forward.probabilities[before]))
    return moved


PARITY_ROWS = 200


@dataclass(frozen=True, eq=False)
class TunedCandidate:
    """A candidate as chosen; nothing in it has seen the test window."""

    name: str
    search: TuningResult
    calibration: Calibration
    validation: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A choice refitted on all development rows, with its test window's predictions and metrics."""

    choice: TunedCandidate
    artifact: ModelArtifact
    predictions: Predictions
    test: Mapping[str, Interval]

    @property
    def name(self) -> str:
        """`logistic` or `xgboost`."""
        return self.choice.name


def tune_candidates(
    development: pd.DataFrame, windows: Windows, settings: TrainSettings, progress: Progress
) -> list[TunedCandidate]:
    """Recipe, calibration and threshold of each candidate; the one with the lowest validation log loss first."""
    folds = RollingOriginFolds(development, windows, settings.seed, settings.threads)
    searches = {
        "logistic": best_logistic(folds, progress),
        "xgboost": best_xgboost(folds, settings.trials, settings.seed, progress),
    }
    choices = [_chosen(name, search, folds, settings) for name, search in searches.items()]
    return sorted(choices, key=lambda choice: choice.validation["log_loss"])


def fit_final(
    choice: TunedCandidate,
    frame: pd.DataFrame,
    windows: Windows,
    settings: TrainSettings,
    provenance: Mapping[str, Any],
) -> Candidate:
    """Refit a choice on the development rows and measure what will be deployed on the test rows."""
    development, test = select_periods(frame, windows.development), select_periods(frame, windows.test)
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
    counted = profile_reference(development, predict(artifact, development).probabilities)
    complete = replace(artifact, metadata=metadata, parity=parity, reference=counted)
    return Candidate(choice, complete, predictions, measured)


def refit(choice: TunedCandidate, development: pd.DataFrame, settings: TrainSettings) -> ModelArtifact:
    """A choice's recipe fitted on all development rows, with its calibration and threshold."""
    recipe = choice.search.best
    encoder = Encoder.fit(development, FEATURE_SETS[recipe.features])
    weights = recency_weights(development["period"].to_numpy(dtype=str), recipe.half_life)
    examples = TrainingSet(encoder.encode_columns(development), development["y"].to_numpy(np.int8), weights)
    scorer = recipe.fit(examples, settings.seed)
    return ModelArtifact(recipe.kind, encoder, scorer, choice.calibration.shift, choice.calibration.threshold, {})


def select_periods(frame: pd.DataFrame, periods: tuple[str, ...]) -> pd.DataFrame:
    """The rows of some periods. Raises DataError if the frame holds `duration`."""
    if LEAKAGE_COLUMN in frame:
        raise DataError(
            f"{LEAKAGE_COLUMN} is known only after the call: a model must not use it; ingest the data without it"
        )
    return frame[frame["period"].isin(periods)]


def _chosen(name: str, search: TuningResult, folds: RollingOriginFolds, settings: TrainSettings) -> TunedCandidate:
    calibration = calibrate(folds.pooled(search.best))
    validation = point_metrics(calibration.served, calibration.threshold, Economics.of(settings))
    return TunedCandidate(name, search, calibration, validation)
