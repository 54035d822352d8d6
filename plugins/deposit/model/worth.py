"""What choosing whom to call by a model earned, beside the other choices, and in one sentence. Pure, without numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot

RATES = "rates"
"""The recipe that is the rate table: the choice without a model that a model must beat."""
AT_CAPACITY = "_at_capacity"
"""Ends the name of a profit that is limited to the calls that a month can have."""


class BestChoice(StrEnum):
    """Whom calling would have earned most, of the choices that need no model beside the model's."""

    MODEL = "model"
    EVERYONE = "everyone"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Worth:
    """Profits of the same months.

    Args:
        profit: of the calls that the model chooses; `low` and `high` bound its 95 % interval.
        expected: what its probabilities promised of these calls.
        random: of as many calls at random.
        everyone: of calling everyone, at random where there may not be so many calls.
        oracle: of calling those alone who subscribe.
        rates: of the calls that the rate table chooses; None where it is not known.
        capacity: calls that a month can have; None: any number.
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
        """As `best_choice`."""
        return best_choice(self.profit, self.everyone)


def best_choice(profit: float, everyone: float) -> BestChoice:
    """Of the model's calls, of calling everyone and of nobody; the model's only if they earn more than the others.

    >>> [best_choice(*pair).value for pair in ((2.0, 1.0), (1.0, 1.0), (-2.0, -1.0))]
    ['model', 'everyone', 'nobody']
    """
    if profit > max(everyone, 0.0):
        return BestChoice.MODEL
    return BestChoice.EVERYONE if everyone > 0 else BestChoice.NOBODY


def worths_of(metrics: Mapping[str, float], rates: Mapping[str, float], bounds: str = "") -> list[Worth]:
    """With any number of calls, and with the capacity's if the metrics have one; none from before they had these.

    Args:
        metrics: of a model, by name; `capacity` among them if there is one.
        rates: the same of the rate table, if it is known.
        bounds: between a metric's name and `_low` or `_high`; `_month` for the intervals by months.
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
    """Of several months together, at least one; the bounds as of errors that do not depend on each other."""
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
    """The one sentence of it, without a full stop.

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
