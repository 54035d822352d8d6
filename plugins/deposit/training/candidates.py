"""Candidates: a tuned recipe, calibrated, refitted, measured and profiled. Pure.

Calibration and threshold are learned from the pooled predictions of rolling-origin folds alone, here called `forward`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data.columns import CATEGORIES, LEAKAGE_COLUMN, NAMES
from deposit.errors import DataError
from deposit.model import metrics
from deposit.model.artifact import Labels, ModelArtifact, ModelMetadata, Parity, Probabilities, Provenance
from deposit.model.encoder import Encoder
from deposit.model.evaluation import MONTH_ROWS, Economics, Interval, Predictions, evaluate, point_metrics, predict
from deposit.model.reference import SCORE, UNKNOWN, Histogram, ReferenceProfile
from deposit.progress import Progress
from deposit.sections import TrainSettings
from deposit.training.recipes import FEATURE_SETS, TrainingSet, parameters, recency_weights
from deposit.training.search import TuningResult, best_logistic, best_xgboost
from deposit.training.windows import RollingOriginFolds, Windows

SHRINKAGE = 100.0
"""Information (n · rate · (1 - rate)) at which half of a shift is believed."""
PARITY_ROWS = 200
_FURTHEST = 20.0
_BINS = 10
_FEW = 100
"""Periods with fewer rows do not say how a column is when all is well."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is deployed (`shift`, `threshold`), and the forward predictions as they would have been served."""

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
    """What to add to the log-odds so that their mean meets the rate, shrunk by I / (I + 100).

    >>> labels, probabilities = np.array([1, 0] * 200), np.full(400, 0.25)
    >>> round(shrunk_shift(labels, probabilities), 3)  # half of log(3), since the information is 100
    0.549
    """
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
    """Probabilities with `shift` added to their log-odds.

    >>> shifted(np.array([0.5, 0.75]), float(np.log(3))).round(3).tolist()
    [0.75, 0.9]
    """
    odds = probabilities / (1 - probabilities) * np.exp(shift)
    result: Probabilities = odds / (1 + odds)
    return result


def best_f1_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """The probability from which on `yes` gives the highest F1.

    >>> best_f1_threshold(np.array([1, 0, 1, 0]), np.array([0.9, 0.4, 0.6, 0.2]))
    0.6
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(labels[order], dtype=np.int64)[ends]
    f1 = 2 * hits / (ends + 1 + labels.sum(dtype=np.int64))
    return float(ranked[ends[f1.argmax()]])


def _shifted_forward(forward: Predictions) -> Probabilities:
    """Each period shifted by what the periods before it teach; the first is left as it is."""
    probabilities = forward.probabilities.copy()
    for period in np.unique(forward.periods):
        before, now = forward.periods < period, forward.periods == period
        shift = shrunk_shift(forward.labels[before], forward.probabilities[before])
        probabilities[now] = shifted(probabilities[now], shift)
    return probabilities


@dataclass(frozen=True, eq=False)
class TunedCandidate:
    """A candidate's recipe, calibration and validation metrics; nothing in it has seen the test window."""

    name: str
    tuning: TuningResult
    calibration: Calibration
    validation: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A tuned candidate refitted on all development rows, with its test window's predictions and metrics."""

    tuned: TunedCandidate
    artifact: ModelArtifact
    predictions: Predictions
    test: Mapping[str, Interval]

    @property
    def name(self) -> str:
        """`logistic` or `xgboost`."""
        return self.tuned.name


def tune_candidates(
    development: pd.DataFrame, windows: Windows, settings: TrainSettings, economics: Economics, progress: Progress
) -> list[TunedCandidate]:
    """Recipe, calibration and threshold of each candidate; the one with the lowest validation log loss first."""
    folds = RollingOriginFolds(development, windows, settings.seed, settings.threads)
    tunings = {
        "logistic": best_logistic(folds, progress),
        "xgboost": best_xgboost(folds, settings.trials, settings.seed, progress),
    }
    candidates = []
    for name, tuning in tunings.items():
        calibration = calibrate(folds.pooled(tuning.best))
        validation = point_metrics(calibration.served, calibration.threshold, economics)
        candidates.append(TunedCandidate(name, tuning, calibration, validation))
    return sorted(candidates, key=lambda candidate: candidate.validation["log_loss"])


def fit_final(
    tuned: TunedCandidate,
    frame: pd.DataFrame,
    windows: Windows,
    settings: TrainSettings,
    economics: Economics,
    provenance: Provenance,
) -> Candidate:
    """Refit a tuned candidate on the development rows and measure what will be deployed on the test rows."""
    development, test = select_periods(frame, windows.development), select_periods(frame, windows.test)
    artifact = refit(tuned, development, settings.seed)
    predictions = predict(artifact, test)
    sample = test.iloc[np.linspace(0, len(test) - 1, min(PARITY_ROWS, len(test))).astype(int)]
    rows = sample[list(NAMES)].to_numpy(dtype=object).tolist()
    metadata = ModelMetadata(
        **msgspec.structs.asdict(provenance),
        recipe=parameters(tuned.tuning.best),
        train_start=windows.development[0],
        train_end=windows.train_end,
        test_start=windows.test[0],
        test_end=windows.test[-1],
        development_rows=len(development),
        development_rate=float(development["y"].mean()),
    )
    complete = replace(
        artifact,
        metadata=metadata,
        parity=Parity(rows, artifact.probabilities(artifact.encoder.encode_rows(rows)).tolist()),
        reference=profile_reference(development, predict(artifact, development).probabilities),
    )
    metrics_by_name = evaluate(predictions, artifact.threshold, economics, settings.bootstrap, settings.seed)
    return Candidate(tuned, complete, predictions, metrics_by_name)


def refit(tuned: TunedCandidate, development: pd.DataFrame, seed: int) -> ModelArtifact:
    """A tuned candidate's recipe fitted on all development rows, with its calibration and threshold."""
    recipe, calibration = tuned.tuning.best, tuned.calibration
    encoder = Encoder.fit(development, FEATURE_SETS[recipe.features])
    weights = recency_weights(development["period"].to_numpy(dtype=str), recipe.half_life)
    training_set = TrainingSet(encoder.encode_columns(development), development["y"].to_numpy(np.int8), weights)
    scorer = recipe.fit(training_set, seed)
    return ModelArtifact(recipe.kind, encoder, scorer, calibration.shift, calibration.threshold)


def select_periods(frame: pd.DataFrame, periods: tuple[str, ...]) -> pd.DataFrame:
    """The rows of some periods. Raises DataError if the frame holds `duration`."""
    if LEAKAGE_COLUMN in frame:
        raise DataError(
            f"{LEAKAGE_COLUMN} is known only after the call: a model must not use it; ingest the data without it"
        )
    return frame[frame["period"].isin(periods)]


def profile_reference(frame: pd.DataFrame, probabilities: Probabilities) -> ReferenceProfile:
    """Count the rows that a model was fitted on, and its scores of them."""
    periods = frame["period"].to_numpy(dtype=str)
    columns = {
        name: _category(frame[name], periods, CATEGORIES[name].allowed)
        if name in CATEGORIES
        else _number(frame[name], periods)
        for name in NAMES
    }
    columns[SCORE] = _number(pd.Series(probabilities), periods)
    return ReferenceProfile(len(frame), float(frame["y"].mean()), *_extreme_rates(frame), columns)


def _extreme_rates(frame: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest share that subscribed in a month of enough rows; that of all rows if there is none."""
    months = frame.groupby("period")["y"].agg(["size", "mean"])
    rates = months["mean"][months["size"] >= MONTH_ROWS]
    if rates.empty:
        return (float(frame["y"].mean()),) * 2
    return float(rates.min()), float(rates.max())


def _category(values: pd.Series, periods: NDArray[np.str_], labels: tuple[str, ...]) -> Histogram:
    counts = tuple(int((values == label).sum()) for label in labels)
    unknown = _highest((values == UNKNOWN).groupby(periods).mean(), periods)
    return Histogram((), labels, counts, _mode_share(values, periods), unknown)


def _number(values: pd.Series, periods: NDArray[np.str_]) -> Histogram:
    numbers = values.to_numpy(np.float64)
    cuts = np.quantile(numbers, np.arange(1, _BINS) / _BINS, method="inverted_cdf")
    edges = np.unique(cuts[cuts > numbers.min()])
    counts = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
    return Histogram(tuple(edges.tolist()), (), tuple(counts.tolist()), _mode_share(values, periods), 0.0)


def _mode_share(values: pd.Series, periods: NDArray[np.str_]) -> float:
    return _highest(values.groupby(periods).agg(lambda rows: rows.value_counts(normalize=True).iloc[0]), periods)


def _highest(shares: pd.Series, periods: NDArray[np.str_]) -> float:
    sizes = pd.Series(periods).value_counts()
    shares_of_many = shares[sizes[shares.index] >= min(_FEW, sizes.max())]
    return float(shares_of_many.max())
