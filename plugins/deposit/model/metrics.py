"""Metrics of predicted probabilities, pure numpy, with weights for many resamples at once.

Arrays: `labels`, `probabilities` (n,); `weights` (resamples, n), how often a resample holds a row.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deposit.model.artifact import Labels, Probabilities

Values = NDArray[np.float64]
BINS = 10


@dataclass(frozen=True, eq=False)
class RankedScores:
    """Rows from the highest probability down, ties as groups.

    `scores` has the probability of each group, `rows` and `hits` its weighted sums, shape (resamples, groups).
    """

    labels: Labels
    probabilities: Probabilities
    weights: Values
    order: NDArray[np.intp] = field(init=False)
    scores: Values = field(init=False)
    rows: Values = field(init=False)
    hits: Values = field(init=False)

    def __post_init__(self) -> None:
        order = np.argsort(-self.probabilities, kind="stable")
        ranked = self.probabilities[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        weights = self.weights[:, order]
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "scores", ranked[starts])
        object.__setattr__(self, "rows", np.add.reduceat(weights, starts, axis=1))
        object.__setattr__(self, "hits", np.add.reduceat(weights * self.labels[order], starts, axis=1))

    def roc_auc(self) -> Values:
        """Chance that a positive ranks above a negative, ties half (Hanley and McNeil 1982)."""
        misses = self.rows - self.hits
        below = misses.sum(axis=1, keepdims=True) - np.cumsum(misses, axis=1)
        won = (self.hits * (below + misses / 2)).sum(axis=1)
        return ratio(won, self.hits.sum(axis=1) * misses.sum(axis=1))

    def pr_auc(self) -> Values:
        """Average precision: precision summed over the steps of recall (Zhu 2004; as scikit-learn)."""
        precision = ratio(np.cumsum(self.hits, axis=1), np.cumsum(self.rows, axis=1))
        return ratio((self.hits * np.nan_to_num(precision)).sum(axis=1), self.hits.sum(axis=1))

    def capture(self, share: float) -> Values:
        """Share of all positives within the best `share` of the list (gain curve), ties in proportion."""
        return ratio(self.among_best(share * self.rows.sum(axis=1), self.hits), self.hits.sum(axis=1))

    def among_best(self, number: Values, sums: Values) -> Values:
        """Of `sums` by group what the best `number` rows of each resample have, ties in proportion."""
        curves = zip(number, *(_from_zero(np.cumsum(each, axis=1)) for each in (self.rows, sums)), strict=True)
        return np.array([np.interp(most, rows, values) for most, rows, values in curves])

    def lift(self, share: float) -> Values:
        """Rate within the best `share` of the list over the rate of the whole list."""
        return self.capture(share) / share


def log_losses(labels: Labels, probabilities: Probabilities) -> Values:
    """Logarithmic loss of each row (Good 1952), probabilities kept off 0 and 1 by one float64 epsilon."""
    epsilon = np.finfo(np.float64).eps
    kept = np.clip(probabilities, epsilon, 1 - epsilon)
    return -np.log(np.where(labels == 1, kept, 1 - kept))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean logarithmic loss.

    >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(log_losses(labels, probabilities).mean())


def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """Area under the ROC curve; NaN where there is one class only.

    >>> roc_auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.4, 0.9]))
    0.75
    """
    return float(RankedScores(labels, probabilities, np.ones((1, len(labels)))).roc_auc()[0])


def concordance(
    labels: Labels, probabilities: Probabilities, strata: NDArray[np.intp], count: int, weights: Values
) -> tuple[Values, Values]:
    """Pairs of a positive and a negative of one stratum that are ranked rightly, ties half, and all such pairs.

    Shapes (resamples, count), where `strata` (n,) has numbers below `count`; a quotient of sums over strata is a ROC
    AUC of their rows that no difference between strata helps.

    >>> two_months = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    >>> [each.tolist() for each in concordance(np.array([0, 1, 0, 1]), *two_months, 2, np.ones((1, 4)))]
    [[[1.0, 1.0]], [[1.0, 1.0]]]
    """
    order = np.lexsort((-probabilities, strata))
    positive, ranked, ordered = labels[order] == 1, probabilities[order], strata[order]
    ties = np.cumsum(np.append(False, (ranked[1:] != ranked[:-1]) | (ordered[1:] != ordered[:-1])))
    ends = np.searchsorted(ordered[~positive], np.arange(count), side="right")
    misses = _from_zero(np.cumsum(weights[:, order[~positive]], axis=1))
    above, tied = (np.searchsorted(ties[~positive], ties[positive], side=side) for side in ("left", "right"))
    below = misses[:, ends[ordered[positive]]] - (misses[:, above] + misses[:, tied]) / 2
    hits = weights[:, order[positive]]
    last = np.searchsorted(ordered[positive], np.arange(count), side="right")
    won, total = (np.diff(_from_zero(_from_zero(np.cumsum(each, axis=1))[:, last])) for each in (hits * below, hits))
    return won, total * np.diff(_from_zero(misses[:, ends]))


def mean(values: NDArray[np.generic], weights: Values) -> Values:
    """Weighted mean of a value by row."""
    return ratio(weights @ values.astype(np.float64), weights.sum(axis=1))


def f1(labels: Labels, called: NDArray[np.bool_], weights: Values) -> Values:
    """Harmonic mean of precision and recall of the decision `called` (van Rijsbergen 1979); 0 without a hit."""
    hits = weights @ (called & (labels == 1)).astype(np.float64)
    return np.nan_to_num(ratio(2 * hits, weights @ (called.astype(np.float64) + labels)))


def calibration_error(labels: Labels, probabilities: Probabilities, weights: Values) -> Values:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015; Guo et al. 2017)."""
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bins] = labels - probabilities
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def ratio(above: Values, below: Values) -> Values:
    """The quotient, NaN over 0."""
    quotient: Values = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return quotient


def _from_zero(sums: Values) -> Values:
    return np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)
