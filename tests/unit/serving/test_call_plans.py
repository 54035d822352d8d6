import numpy as np
import pytest

from serving.ranking.rank_options import RankOptions
from serving.ranking.responses import POINTS, outlook

CHANCES = np.sort(np.random.default_rng(3).uniform(0.0, 0.6, 5_000))[::-1]


def _options(value: float, cost: float) -> RankOptions:
    return RankOptions(None, value, cost, reasons=False, model=None)


@pytest.mark.parametrize(("value", "cost"), [(4.0, 1.0), (2.0, 1.1), (30.0, 0.5)])
def test_the_best_number_is_that_of_the_highest_profit_and_the_curve_holds_it(value: float, cost: float) -> None:
    every = np.append(0.0, np.cumsum(CHANCES)) * value - np.arange(5_001) * cost
    made = outlook(CHANCES, 700, _options(value, cost))
    assert made.best.calls == int(every.argmax())
    assert made.best.expected_profit == pytest.approx(every.max())
    curve = made.curve
    assert POINTS <= len(curve.calls) <= POINTS + 3
    assert curve.calls == sorted(set(curve.calls))
    assert {0, 700, made.best.calls, 5_000} <= set(curve.calls)
    assert curve.expected_profit == pytest.approx(every[curve.calls].tolist())
    assert curve.expected_subscriptions == pytest.approx([CHANCES[:calls].sum() for calls in curve.calls])
    assert made.everyone.expected_profit == pytest.approx(every[-1])
    assert made.random.calls == 700
    assert made.random.expected_profit == pytest.approx(700 * (CHANCES.mean() * value - cost))


@pytest.mark.parametrize(
    ("value", "cost", "called", "choice"),
    [(4.0, 1.0, 3_000, "model"), (30.0, 0.1, 100, "everyone"), (1.0, 1.0, 100, "nobody"), (10.0, 1.0, 0, "everyone")],
)
def test_what_earns_most_is_named(value: float, cost: float, called: int, choice: str) -> None:
    assert outlook(CHANCES, called, _options(value, cost)).best_choice == choice


def test_a_list_of_one_has_a_curve_of_two_points() -> None:
    made = outlook(np.array([0.3]), 1, _options(10.0, 1.0))
    assert (made.curve.calls, made.curve.expected_profit) == ([0, 1], [0.0, 2.0])
    assert made.best_choice == "everyone"  # all one can call is everyone
