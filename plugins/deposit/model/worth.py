"""Profit of choosing calls by a model, compared with the alternatives, also in one sentence. Pure, without numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot

RATES = "rates"
"""Name of the rate table's recipe: the choice without a model that a model must beat."""
AT_CAPACITY = "_at_capacity"
"""Suffix of profits with at most as many calls as a month can have."""


class BestChoice(StrEnum):
    """The most profitable of three choices: calling whom the model chooses, everyone, or nobody."""

    MODEL = "model"
    EVERYONE = "everyone"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Worth:
    """Profits over the same months.

    Args:
        profit: profit of the calls that the model chooses; `low` and `high` bound its 95 % interval.
        expected: profit that the model's probabilities promised for these calls.
        random: profit of as many calls at random.
        everyone: profit of calling everyone, or as many as capacity allows at random.
        oracle: profit of calling only those who subscribe.
        rates: profit of the calls that the rate table chooses; None if it is unknown.
        capacity: calls per month; None means no limit.
    """

    profit: float
    low: float
    high: float
    expected: float
    random: float
    everyone: float
    oracle: float
    rates: float | None = None
    capacity: float | None = None

    @property
    def best_choice(self) -> BestChoice:
        """The choice that earned most."""
        return best_choice(self.profit, self.everyone)


def best_choice(profit: float, everyone: float) -> BestChoice:
    """Compare the model's calls with calling everyone and nobody; the model must earn more than both.

    >>> [best_choice(*pair).value for pair in ((2.0, 1.0), (1.0, 1.0), (-2.0, -1.0))]
    ['model', 'everyone', 'nobody']
    """
    if profit > max(everyone, 0.0):
        return BestChoice.MODEL
    return BestChoice.EVERYONE if everyone > 0 else BestChoice.NOBODY


def worths_of(metrics: Mapping[str, float], rates: Mapping[str, float], bounds: str = "") -> list[Worth]:
    """Worth with no limit and, if the metrics have a capacity, at capacity; empty if they are older than these profits.

    Args:
        metrics: metrics of a model, by name; they include `capacity` if there is one.
        rates: the same metrics of the rate table, if known.
        bounds: infix of an interval's names, before `_low` and `_high`; `_month` selects the intervals by months.
    """
    worths = []
    for end, capacity in (("", None), (AT_CAPACITY, metrics.get("capacity"))):
        if f"profit_random{end}" not in metrics or (end and capacity is None):
            continue
        worths.append(
            Worth(
                metrics[f"profit{end}"],
                metrics[f"profit{end}{bounds}_low"],
                metrics[f"profit{end}{bounds}_high"],
                metrics[f"profit_expected{end}"],
                metrics[f"profit_random{end}"],
                metrics[f"profit_call_everyone{end}"],
                metrics[f"profit_oracle{end}"],
                rates.get(f"profit{end}"),
                capacity,
            )
        )
    return worths


def sum_of(worths: Sequence[Worth]) -> Worth:
    """Add up the worth of one or more months; the errors behind the bounds are treated as independent."""
    low, high = (hypot(*(getattr(each, bound) - each.profit for each in worths)) for bound in ("low", "high"))
    profit, expected, random, everyone, oracle = (
        sum(getattr(each, name) for each in worths) for name in ("profit", "expected", "random", "everyone", "oracle")
    )
    known = [each.rates for each in worths if each.rates is not None]
    rates, capacity = sum(known) if len(known) == len(worths) else None, worths[0].capacity
    return Worth(profit, profit - low, profit + high, expected, random, everyone, oracle, rates, capacity)


_CONCLUSIONS = {
    BestChoice.MODEL: "",
    BestChoice.EVERYONE: ": calling everyone earned more than choosing",
    BestChoice.NOBODY: ": calling nobody would have been best",
}


def describe_worth(worth: Worth) -> str:
    """Describe the worth in one sentence, without a full stop.

    >>> describe_worth(Worth(1234.4, 900, 1500, 1300, 700, 1300, 2900, 1100))
    'choosing by the model earned 1,234 (95 %: 900 to 1,500; its probabilities promised 1,300), calling everyone \
1,300, nobody 0, as many at random 700, the rate table 1,100, knowing the answers 2,900: calling everyone earned more \
than choosing'
    """
    rates = "" if worth.rates is None else f"the rate table {worth.rates:,.0f}, "
    return (
        f"choosing by the model earned {worth.profit:,.0f} (95 %: {worth.low:,.0f} to {worth.high:,.0f}; its "
        f"probabilities promised {worth.expected:,.0f}), calling everyone {worth.everyone:,.0f}, nobody 0, as many at "
        f"random {worth.random:,.0f}, {rates}knowing the answers {worth.oracle:,.0f}{_CONCLUSIONS[worth.best_choice]}"
    )
