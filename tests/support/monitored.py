"""Pytest plugin: a model on real rows with its reference, and periods counted from frames as PostgreSQL counts them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deposit.data.columns import FEATURES, NAMES, Category, Number
from deposit.model.evaluation import Economics
from deposit.model.mixture import AGE_EDGES
from deposit.model.reference import SCORE, UNKNOWN, ReferenceProfile
from deposit.monitoring.profile import BinnedOutcomes, ColumnProfile, PeriodProfile
from deposit.training.fitting import EncodedRows, fit_rates
from deposit.training.profiling import profile_reference
from deposit.training.recipes import FALLBACK

MONEY = Economics(10, 1, capacity=500)


@dataclass(frozen=True)
class Trained:
    """Rows, the scores of a model fitted on them, what it keeps of them, and how good it is there."""

    frame: pd.DataFrame
    probabilities: Any
    reference: ReferenceProfile
    threshold: float
    expected: dict[str, float]
    score: Callable[[pd.DataFrame], Any]


def observe(frame: pd.DataFrame, probabilities: Any, trained: Trained, labels: Any = None) -> PeriodProfile:
    """What monitoring would count of these rows; outcomes are known where there are labels."""
    columns = {
        column.name: _counts(frame[column.name], column, trained.reference.columns[column.name]) for column in FEATURES
    }
    score = Number(SCORE, 0.0, 1.0, False, "", 0.1)
    columns[SCORE] = _counts(pd.Series(probabilities), score, trained.reference.columns[SCORE])
    called = probabilities >= trained.threshold
    return PeriodProfile(
        rows=len(frame),
        called=int(called.sum()),
        mean_probability=float(probabilities.mean()),
        latencies={},
        columns=columns,
        scored=_scored(probabilities, called, labels),
        scored_by_rates=None if labels is None else _scored_by_rates(frame, labels, trained.reference),
    )


def sampled(trained: Trained, rows: int, seed: int, known: float = 1.0) -> pd.DataFrame:
    """Rows of the history as a report's sample has them; of a share `known` the outcome is."""
    frame = trained.frame.sample(rows, random_state=seed)
    probabilities = trained.score(frame)
    outcomes = frame["y"].astype(float).where(np.random.default_rng(seed).random(rows) < known)
    return frame[list(NAMES)].assign(
        probability=probabilities, called=(probabilities >= 0.3).astype(int), subscribed=outcomes
    )


def _counts(values: pd.Series, column: Category | Number, histogram: Any) -> ColumnProfile:
    if isinstance(column, Category):
        counts = [int((values == label).sum()) for label in histogram.labels]
    else:
        inside = values[(values >= column.low) & (values <= column.high)].to_numpy(np.float64)
        places = np.searchsorted(histogram.edges, inside, side="right")
        counts = np.bincount(places, minlength=len(histogram.counts)).tolist()
    unknown = int((values == UNKNOWN).sum()) if isinstance(column, Category) else 0
    return ColumnProfile(tuple(counts), unknown, len(values) - sum(counts), values.nunique(dropna=False) <= 1)


def _scored(probabilities: Any, called: Any, labels: Any) -> BinnedOutcomes:
    if labels is None:
        return BinnedOutcomes(np.zeros(0, np.int8), np.zeros(0), np.zeros(0))
    rows = pd.DataFrame({"y": labels, "called": called, "p": probabilities, "g": (probabilities * 2000).astype(int)})
    groups = rows.groupby(["called", "y", "g"])["p"].agg(["mean", "size"]).reset_index()
    groups = groups.sort_values(["mean", "y"])
    return BinnedOutcomes(groups["y"].to_numpy(np.int8), groups["mean"].to_numpy(), groups["size"].to_numpy(np.float64))


def rates_of(frame: pd.DataFrame, reference: ReferenceProfile) -> Any:
    """What the rate table answers for these rows; NaN where a value is not allowed."""
    poutcomes, contacts = pd.Index(["failure", "nonexistent", "success"]), pd.Index(["cellular", "telephone"])
    places = poutcomes.get_indexer(pd.Index(frame["poutcome"])), contacts.get_indexer(pd.Index(frame["contact"]))
    bands = (frame["age"] >= 30).astype(int) + (frame["age"] >= 60)
    return np.where(np.minimum(*places) >= 0, np.array(reference.rate_table)[(*places, bands)], np.nan)


def _scored_by_rates(frame: pd.DataFrame, labels: Any, reference: ReferenceProfile) -> BinnedOutcomes:
    rows = frame[["poutcome", "contact", "age"]].assign(y=labels, p=rates_of(frame, reference)).dropna()
    groups = rows.groupby(["y", "poutcome", "contact", np.digitize(rows["age"], AGE_EDGES)])["p"].agg(["mean", "size"])
    outcomes = groups.index.get_level_values("y").to_numpy(np.int8)
    return BinnedOutcomes(outcomes, groups["mean"].to_numpy(), groups["size"].to_numpy(np.float64))


@pytest.fixture(scope="session")
def trained(history: pd.DataFrame) -> Trained:
    """A model on every second real row of 2008 and 2009."""
    import xgboost

    from deposit.model.encoder import Encoder
    from deposit.model.evaluation import Predictions, evaluate

    frame = history[history["period"] < "2010"].iloc[::2].reset_index(drop=True)
    encoder = Encoder.fit(frame)
    matrix = encoder.encode_columns(frame)
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 3, "seed": 1, "nthread": 2},
        xgboost.DMatrix(matrix, frame["y"].to_numpy(float)), 40,
    )  # fmt: skip

    def score(rows: pd.DataFrame) -> Any:
        return booster.inplace_predict(encoder.encode_columns(rows)).astype(np.float64)

    probabilities = score(frame)
    rows = Predictions(frame["period"].to_numpy(dtype=str), frame["y"].to_numpy(np.int8), probabilities)
    expected: dict[str, float] = {}
    for name, interval in evaluate(rows, 0.3, MONEY, 100, 0).items():
        expected |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    reference = profile_reference(frame, probabilities, fit_rates(FALLBACK, EncodedRows.of(frame)))
    return Trained(frame, probabilities, reference, 0.3, expected, score)
