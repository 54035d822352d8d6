"""What the best n calls of a list are expected to bring, for every n. Pure."""

import numpy as np
from numpy.typing import NDArray

from deposit.model.worth import best_choice
from serving.ranking.rank_options import RankOptions
from serving.request_schemas import CallPlan, ProfitCurve, RankOutlook

POINTS = 200
"""Of a curve, beside those of the numbers that are spoken of."""


def outlook(probabilities: NDArray[np.float64], called: int, options: RankOptions) -> RankOutlook:
    """Of a list with its probabilities in order, best first, shape (n,)."""
    rows = len(probabilities)
    subscriptions = np.append(0.0, np.cumsum(probabilities))
    profits = subscriptions * options.deposit_value - np.arange(rows + 1) * options.call_cost
    pay = int((probabilities > options.break_even).sum())  # the best come first
    places = np.unique(np.append(np.linspace(0, rows, min(rows, POINTS) + 1).round().astype(int), [pay, called]))
    at_random = float(subscriptions[-1]) * called / rows
    plan, best, everyone = (
        CallPlan(calls, float(subscriptions[calls]), float(profits[calls])) for calls in (called, pay, rows)
    )
    return RankOutlook(
        best=best,
        everyone=everyone,
        random=CallPlan(called, at_random, at_random * options.deposit_value - called * options.call_cost),
        best_choice=best_choice(plan.expected_profit, everyone.expected_profit).value,
        curve=ProfitCurve(places.tolist(), subscriptions[places].tolist(), profits[places].tolist()),
    )
