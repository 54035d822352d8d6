"""Reference profile of a model's training rows, for monitoring, and feature contributions. Pure."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data.columns import CATEGORIES, NAMES
from deposit.model.artifact import ModelArtifact, Probabilities
from deposit.model.evaluation import MONTH_ROWS
from deposit.model.mixture import Mixture, RateTable, Values
from deposit.model.reference import SCORE, UNKNOWN, Histogram, RateCube, ReferenceProfile

_BINS = 10
_FEW = 100
"""Periods with fewer rows are not representative of a column."""


def profile_reference(
    frame: pd.DataFrame, probabilities: Probabilities, rates: RateTable | None = None
) -> ReferenceProfile:
    """Profile the rows that a model was fitted on, and its scores of them; `rates` is fitted on the same rows."""
    rate_table = None if rates is None else _nested(rates.probabilities)
    periods = frame["period"].to_numpy(dtype=str)
    columns = {
        name: _category(frame[name], periods, CATEGORIES[name].allowed)
        if name in CATEGORIES
        else _number(frame[name], periods)
        for name in NAMES
    }
    columns[SCORE] = _number(pd.Series(probabilities), periods)
    return ReferenceProfile(len(frame), float(frame["y"].mean()), *_extreme_rates(frame), columns, rate_table)


def mean_contributions(artifact: ModelArtifact, mixture: Mixture) -> dict[str, float]:
    """Mean absolute contribution of each column to the log-odds of the parity rows, the largest first.

    Shapley values (Lundberg 2017) of the members, summed by the members' weights.
    """
    names = artifact.encoder.columns
    places = {name: place for place, name in enumerate(names)}
    owners = np.array([places[name.partition("=")[0]] for name in artifact.encoder.names()])
    matrix = artifact.encoder.encode_rows(artifact.parity.rows)
    sizes = np.abs(mixture.contributions(matrix, owners, places)).mean(axis=0)
    return {names[place]: float(sizes[place]) for place in np.argsort(-sizes, kind="stable")}


def _nested(cells: Values) -> RateCube:
    return tuple(tuple(tuple(bands) for bands in contacts) for contacts in cells.tolist())


def _extreme_rates(frame: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest subscription rate of the months with enough rows; the overall rate if there are none."""
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
