"""Slices: metrics by customer group, and which gaps to all calls are statistically significant. Pure.

The group metrics and bootstrap intervals of fairlearn's `MetricFrame`, computed for all resamples at once: fairlearn
takes minutes, and every training has a card (decision 25). A test compares the two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import erfc, sqrt
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from deposit.model import metrics
from deposit.model.artifact import Labels
from deposit.model.evaluation import CONFIDENCE, Economics, Predictions, bootstrap_weights, interval
from deposit.model.mixture import Values

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 100
"""Groups with fewer calls are not shown: they are noisy and come close to single customers."""
LEAST_OUTCOMES = 10
"""Rows of each outcome that a group needs for its metric to be compared with that of all calls."""
RESAMPLES = 200
ALPHA = 0.05
"""Family-wise error rate: the chance that a card flags any gap although no group differs."""
AGE_BANDS = {"0 to 29": 30, "30 to 39": 40, "40 to 49": 50, "50 to 59": 60, "60 and over": 1000}
"""Age bands with their exclusive upper bounds."""
COLUMNS = ("job", "marital", "education", "contact", "month")
METRICS = ("roc_auc", "calibration_gap", "call_rate", "precision")
COMPARED = ("roc_auc", "calibration_gap", "precision")
"""Metrics that are tested; call rates differ as the probabilities do, which is what the model is for."""


class Estimate(msgspec.Struct, frozen=True):
    """A metric of a group with its interval; `flagged` if it differs significantly from that of all calls."""

    value: float | None
    low: float | None
    high: float | None
    flagged: bool = False


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One group, or all calls.

    Args:
        column: column that the calls are grouped by; empty for all calls.
        roc_auc: ROC AUC over pairs of calls of the same month.
        calibration_gap: mean probability minus subscription rate.
        call_rate: share of customers that it pays to call.
        precision: subscription rate among these.
    """

    column: str
    group: str
    rows: int
    roc_auc: Estimate
    calibration_gap: Estimate
    call_rate: Estimate
    precision: Estimate


class Slices(msgspec.Struct, frozen=True):
    """All calls, the groups, and by column the number of groups that are too small to be shown."""

    overall: Slice
    groups: tuple[Slice, ...]
    suppressed: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class _Column:
    """The rows of a column's groups: their positions, and the group index of each."""

    name: str
    groups: tuple[str, ...]
    rows: NDArray[np.intp]
    codes: NDArray[np.intp]


def find_slices(frame: "pd.DataFrame", predictions: Predictions, economics: Economics, seed: int) -> Slices:
    """The slices of predictions; `frame` has their rows, in the same order."""
    called = predictions.probabilities * economics.deposit_value > economics.call_cost
    everything = _Column("", ("all calls",), np.arange(len(frame)), np.zeros(len(frame), np.intp))
    suppressed: dict[str, int] = {}
    columns = [everything, *_columns(frame, suppressed)]
    keys = [(column.name, group) for column in columns for group in column.groups]
    ones = np.ones((1, len(frame)))
    values = np.concatenate([_measure(column, predictions, called, ones) for column in columns], axis=1)[0]
    samples = np.concatenate(
        [
            np.concatenate([_measure(column, predictions, called, weights) for column in columns], axis=1)
            for weights in bootstrap_weights(predictions.periods, RESAMPLES, seed)
        ]
    )
    comparable = np.concatenate([_comparable(column, predictions.labels, called) for column in columns])
    flagged = _flag(values, samples, comparable)
    counts = np.concatenate([np.bincount(column.codes, minlength=len(column.groups)) for column in columns])
    overall, *groups = (
        _slice(*key, int(counts[place]), values[place], samples[:, place], flagged[place])
        for place, key in enumerate(keys)
    )
    return Slices(overall, tuple(groups), suppressed)


def beyond_noise(chances: Values) -> NDArray[np.bool_]:
    """Which differences are significant by Holm's step-down test (1979), at the family-wise level `ALPHA`.

    Args:
        chances: two-sided p-values, shape (n,); NaN where there is nothing to compare.

    >>> beyond_noise(np.array([0.001, 0.04, 0.02, np.nan])).tolist()
    [True, True, True, False]
    """
    order = np.argsort(chances, kind="stable")  # NaN last
    count = int(np.isfinite(chances).sum())
    kept = chances[order[:count]] <= ALPHA / np.arange(count, 0, -1)
    rejected = np.zeros(len(chances), dtype=bool)
    rejected[order[:count]] = np.logical_and.accumulate(kept)
    return rejected


def _columns(frame: "pd.DataFrame", suppressed: dict[str, int]) -> Iterator[_Column]:
    """Each column with its groups that are large enough; the number of the others is added to `suppressed`."""
    bands = np.array(list(AGE_BANDS))[np.searchsorted(list(AGE_BANDS.values()), frame["age"], side="right")]
    for name, texts in {"age band": bands, **{name: frame[name].to_numpy(dtype=str) for name in COLUMNS}}.items():
        groups, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
        large = counts >= LEAST_ROWS
        if not large.all():
            suppressed[name] = int((~large).sum())
        if large.any():
            rows = np.flatnonzero(large[codes])
            yield _Column(name, tuple(groups[large].tolist()), rows, (np.cumsum(large) - 1)[codes[rows]])


def _measure(column: _Column, predictions: Predictions, called: NDArray[np.bool_], weights: Values) -> Values:
    """Each metric of each group under each row of `weights` (resamples, n): shape (resamples, groups, metrics)."""
    rows, codes, count = column.rows, column.codes, len(column.groups)
    labels, probabilities, called = predictions.labels[rows], predictions.probabilities[rows], called[rows]
    months, month = np.unique(predictions.periods[rows], return_inverse=True)
    weights = weights[:, rows]
    strata = codes * len(months) + month
    by_month = metrics.concordance(labels, probabilities, strata, count * len(months), weights)
    won, pairs = (each.reshape(len(weights), count, len(months)).sum(axis=2) for each in by_month)
    parts = np.zeros((len(rows), 4 * count))
    for place, values in enumerate((np.ones(len(rows)), probabilities - labels, called, called & (labels == 1))):
        parts[np.arange(len(rows)), place * count + codes] = values
    sums = (weights @ parts).reshape(len(weights), 4, count)
    calls, gaps, called_rows, hits = (sums[:, place] for place in range(4))
    quotients = ((won, pairs), (gaps, calls), (called_rows, calls), (hits, called_rows))
    return np.stack([metrics.ratio(*each) for each in quotients], axis=2)


def _comparable(column: _Column, labels: Labels, called: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a group's metric can be compared with that of all calls: shape (groups, metrics)."""
    count = len(column.groups)
    positive, chosen = labels[column.rows] == 1, called[column.rows]
    comparable = np.zeros((count, len(METRICS)), dtype=bool)
    for name in COMPARED if column.name else ():
        counted = chosen if name == "precision" else np.ones(len(positive), dtype=bool)
        outcomes = [np.bincount(column.codes[counted & each], minlength=count) for each in (positive, ~positive)]
        comparable[:, METRICS.index(name)] = np.minimum(*outcomes) >= LEAST_OUTCOMES
    return comparable


def _flag(values: Values, samples: Values, comparable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which metrics differ significantly from the first group, all calls; differences are taken per resample."""
    spread, chances = np.zeros(values.shape), np.full(values.shape, np.nan)
    spread[comparable] = np.nanstd((samples - samples[:, :1])[:, comparable], axis=0)
    measured = spread > 0
    deviations = np.abs(values - values[:1])[measured] / spread[measured]
    chances[measured] = [erfc(each / sqrt(2)) for each in deviations]  # two-sided, by the normal distribution
    return beyond_noise(chances.ravel()).reshape(values.shape)


def _slice(column: str, group: str, rows: int, values: Values, samples: Values, flagged: NDArray[np.bool_]) -> Slice:
    estimates = {
        name: Estimate(float(values[place]), *interval(samples[:, place], CONFIDENCE), flagged=bool(flagged[place]))
        for place, name in enumerate(METRICS)
    }
    return Slice(column=column, group=group, rows=rows, **estimates)
