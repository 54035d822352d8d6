"""Each month's list as one ranking under many resamples: means over months, and what calls earn. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.model.artifact import Labels, Probabilities
from deposit.model.metrics import RankedScores, Values, ratio
from deposit.model.worth import AT_CAPACITY


@dataclass(frozen=True, eq=False)
class MonthRanking:
    """A month's rows, and how often each resample holds the month: by the mean weight of its rows."""

    rows: int
    times: Values
    ranked: RankedScores


def rank_months(
    periods: NDArray[np.str_], labels: Labels, probabilities: Probabilities, weights: Values
) -> list[MonthRanking]:
    """The months, oldest first, with weights of shape (resamples, n)."""
    months = []
    for period in np.unique(periods):
        rows = periods == period
        drawn = weights[:, rows]
        ranked = RankedScores(labels[rows], probabilities[rows], drawn)
        months.append(MonthRanking(int(rows.sum()), drawn.mean(axis=1), ranked))
    return months


def month_means(months: list[MonthRanking], least: int) -> dict[str, Values]:
    """Means of the months' ROC AUC and capture; months with fewer than `least` rows or one class do not count."""
    counted = [month for month in months if month.rows >= least]
    times, resamples = [month.times for month in counted], len(months[0].times)
    return {
        "roc_auc_month_mean": _mean_over([month.ranked.roc_auc() for month in counted], times, resamples),
        "capture_30_month_mean": _mean_over([month.ranked.capture(0.3) for month in counted], times, resamples),
    }


def profits(
    months: list[MonthRanking], deposit_value: float, call_cost: float, capacity: float | None
) -> dict[str, Values]:
    """What the months' calls earn together, by how it is chosen whom to call; calling nobody earns 0.

    `profit` is of the best that pay by their probability, `profit_expected` what these probabilities promise of the
    same calls, `profit_random` of as many calls at random, `profit_call_everyone` of all, at random where there may
    not be so many, `profit_over_everyone` the difference, `profit_oracle` of those who subscribe. Where there is a
    capacity, the same with `_at_capacity`: each month at most so many calls.
    """
    earned = [_profits(month.ranked, deposit_value, call_cost, None) for month in months]
    profits = {name: np.sum([each[name] for each in earned], axis=0) for name in earned[0]}
    if capacity is not None:
        earned = [_profits(month.ranked, deposit_value, call_cost, capacity * month.times) for month in months]
        profits |= {f"{name}{AT_CAPACITY}": np.sum([each[name] for each in earned], axis=0) for name in earned[0]}
    return profits


def _profits(ranked: RankedScores, deposit_value: float, call_cost: float, most: Values | None) -> dict[str, Values]:
    """Of one month, with at most so many calls in each resample, shape (resamples,)."""
    rows, subscribers = ranked.rows.sum(axis=1), ranked.hits.sum(axis=1)
    pay = int((ranked.scores * deposit_value > call_cost).sum())  # the best come first
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
