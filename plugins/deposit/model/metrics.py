"""Metrics of predicted probabilities in pure numpy, for many weighted resamples at once, over all rows or by month.

Arrays: `labels` and `probabilities` (n,); `weights` (resamples, n), the number of times that a resample has a row.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deposit.model.artifact import Labels, Probabilities
from deposit.model.worth import AT_CAPACITY

Values = NDArray[np.float64]
BINS = 10


@dataclass(frozen=True, eq=False)
class RankedScores:
    """Rows in descending order of probability, with ties grouped.

    `scores` has the probability of each group, `rows` and `hits` its weighted numbers of rows and positives, shape
    (resamples, groups).
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
        """Probability that a positive ranks above a negative; ties count half (Hanley and McNeil 1982)."""
        misses = self.rows - self.hits
        below = misses.sum(axis=1, keepdims=True) - np.cumsum(misses, axis=1)
        won = (self.hits * (below + misses / 2)).sum(axis=1)
        return ratio(won, self.hits.sum(axis=1) * misses.sum(axis=1))

    def pr_auc(self) -> Values:
        """Average precision: precision summed over the steps of recall (Zhu 2004; as in scikit-learn)."""
        precision = ratio(np.cumsum(self.hits, axis=1), np.cumsum(self.rows, axis=1))
        return ratio((self.hits * np.nan_to_num(precision)).sum(axis=1), self.hits.sum(axis=1))

    def capture(self, share: float) -> Values:
        """Share of all positives in the best `share` of the list (gain curve); ties count in proportion."""
        return ratio(self.among_best(share * self.rows.sum(axis=1), self.hits), self.hits.sum(axis=1))

    def among_best(self, number: Values, sums: Values) -> Values:
        """Part of `sums`, which are by group, in the best `number` rows of each resample; ties count in proportion."""
        curves = zip(number, *(_from_zero(np.cumsum(each, axis=1)) for each in (self.rows, sums)), strict=True)
        return np.array([np.interp(most, rows, values) for most, rows, values in curves])

    def lift(self, share: float) -> Values:
        """Rate in the best `share` of the list, divided by the rate of the whole list."""
        return self.capture(share) / share


def log_losses(labels: Labels, probabilities: Probabilities) -> Values:
    """Logarithmic loss of each row (Good 1952); probabilities are clipped by one float64 epsilon."""
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
    """Area under the ROC curve; NaN if there is only one class.

    >>> roc_auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.3, 0.4, 0.9]))
    0.75
    """
    return float(RankedScores(labels, probabilities, np.ones((1, len(labels)))).roc_auc()[0])


def concordance(
    labels: Labels, probabilities: Probabilities, strata: NDArray[np.intp], count: int, weights: Values
) -> tuple[Values, Values]:
    """Count the correctly ranked pairs of a positive and a negative in each stratum, ties half, and all such pairs.

    Both have shape (resamples, count); `strata` (n,) has numbers below `count`. The ratio of their sums over strata is
    a ROC AUC within strata, to which differences between strata do not contribute.

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
    """Weighted mean over rows."""
    return ratio(weights @ values.astype(np.float64), weights.sum(axis=1))


def f1(labels: Labels, called: NDArray[np.bool_], weights: Values) -> Values:
    """F1 score of the decision `called` (van Rijsbergen 1979); 0 without a true positive."""
    hits = weights @ (called & (labels == 1)).astype(np.float64)
    return np.nan_to_num(ratio(2 * hits, weights @ (called.astype(np.float64) + labels)))


def calibration_error(labels: Labels, probabilities: Probabilities, weights: Values) -> Values:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015; Guo et al. 2017)."""
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bins] = labels - probabilities
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def ratio(above: Values, below: Values) -> Values:
    """Quotient; NaN where the divisor is 0."""
    quotient: Values = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return quotient


def _from_zero(sums: Values) -> Values:
    return np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)


@dataclass(frozen=True, eq=False)
class MonthRanking:
    """Ranking of a month's rows; `times` is how often each resample has the month, as the mean weight of its rows."""

    rows: int
    times: Values
    ranked: RankedScores


def rank_months(
    periods: NDArray[np.str_], labels: Labels, probabilities: Probabilities, weights: Values
) -> list[MonthRanking]:
    """Rank the rows of each month, oldest month first; `weights` has shape (resamples, n)."""
    months = []
    for period in np.unique(periods):
        rows = periods == period
        drawn = weights[:, rows]
        ranked = RankedScores(labels[rows], probabilities[rows], drawn)
        months.append(MonthRanking(int(rows.sum()), drawn.mean(axis=1), ranked))
    return months


def month_means(months: list[MonthRanking], least: int) -> dict[str, Values]:
    """Mean ROC AUC and capture over months; months with fewer than `least` rows or only one class are left out."""
    counted = [month for month in months if month.rows >= least]
    times, resamples = [month.times for month in counted], len(months[0].times)
    return {
        "roc_auc_month_mean": _mean_over([month.ranked.roc_auc() for month in counted], times, resamples),
        "capture_30_month_mean": _mean_over([month.ranked.capture(0.3) for month in counted], times, resamples),
    }


def profits(
    months: list[MonthRanking], deposit_value: float, call_cost: float, capacity: float | None
) -> dict[str, Values]:
    """Profits of all months together, by the way in which calls are chosen; calling nobody earns 0.

    `profit`: calls whose probability pays for them. `profit_expected`: what these probabilities promise of the same
    calls. `profit_random`: as many calls at random. `profit_call_everyone`: calls to everyone, or as many as capacity
    allows at random. `profit_over_everyone`: `profit` minus that. `profit_oracle`: calls to subscribers only. With a
    capacity, all of these also with the suffix `_at_capacity`, for at most that many calls in each month.
    """
    earned = [_profits(month.ranked, deposit_value, call_cost, None) for month in months]
    profits = {name: np.sum([each[name] for each in earned], axis=0) for name in earned[0]}
    if capacity is not None:
        earned = [_profits(month.ranked, deposit_value, call_cost, capacity * month.times) for month in months]
        profits |= {f"{name}{AT_CAPACITY}": np.sum([each[name] for each in earned], axis=0) for name in earned[0]}
    return profits


def _profits(ranked: RankedScores, deposit_value: float, call_cost: float, most: Values | None) -> dict[str, Values]:
    """Profits of one month with at most `most` calls, shape (resamples,) each."""
    rows, subscribers = ranked.rows.sum(axis=1), ranked.hits.sum(axis=1)
    pay = int((ranked.scores * deposit_value > call_cost).sum())  # scores are in descending order
    promised = ranked.rows * ranked.scores
    called, everyone, known = ranked.rows[:, :pay].sum(axis=1), rows, subscribers
    if most is None:
        hits, hoped = ranked.hits[:, :pay].sum(axis=1), promised[:, :pay].sum(axis=1)
    else:
        called, everyone, known = (np.minimum(each, most) for each in (called, everyone, known))
        hits, hoped = ranked.among_best(called, ranked.hits), ranked.among_best(called, promised)
    at_random = deposit_value * np.nan_to_num(ratio(subscribers, rows)) - call_cost
    profit, call_everyone = deposit_value * hits - call_cost * called, everyone * at_random
    return {
        "profit": profit,
        "profit_expected": deposit_value * hoped - call_cost * called,
        "profit_random": called * at_random,
        "profit_call_everyone": call_everyone,
        "profit_over_everyone": profit - call_everyone,
        "profit_oracle": known * max(deposit_value - call_cost, 0.0),
    }


def _mean_over(months: list[Values], times: list[Values], resamples: int) -> Values:
    values, weights = (np.array(each).reshape(len(months), resamples) for each in (months, times))
    finite = np.isfinite(values)
    counts = np.where(finite, weights, 0.0)
    total, number = (np.where(finite, values, 0.0) * counts).sum(axis=0), counts.sum(axis=0)
    means: Values = np.divide(total, number, out=np.full(resamples, np.nan), where=number > 0)
    return means
