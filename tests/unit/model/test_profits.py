from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deposit.model.evaluation import (
    Economics,
    Predictions,
    bootstrap_weights,
    evaluate,
    point_metrics,
    profits_by_month,
    weighted_metrics,
)
from deposit.model.worth import AT_CAPACITY, BestChoice, Worth, describe_worth, worths_of

MONEY = Economics(deposit_value=4.0, call_cost=1.0, capacity=30)


def months(seed: int, rows: int = 300) -> Predictions:
    """Three months of different sizes and rates; no two rows have one probability."""
    generator = np.random.default_rng(seed)
    periods = np.sort(generator.choice(["2009-01", "2009-02", "2009-03"], rows, p=[0.6, 0.35, 0.05]))
    probabilities = generator.uniform(0.01, 0.9, rows)
    return Predictions(periods, (generator.uniform(size=rows) < probabilities / 2).astype(np.int8), probabilities)


def lists(rows: Predictions) -> Iterator[list[tuple[float, int]]]:
    """Each month's list, best first, as plain pairs."""
    for period in sorted(set(rows.periods.tolist())):
        pairs = [
            (probability, label)
            for each, probability, label in zip(
                rows.periods.tolist(), rows.probabilities.tolist(), rows.labels.tolist(), strict=True
            )
            if each == period
        ]
        yield sorted(pairs, reverse=True)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(1.2, 20.0), st.integers(0, 250))
def test_profits_are_those_of_calls_counted_one_by_one(seed: int, value: float, capacity: int) -> None:
    rows = months(seed)
    money = Economics(value, 1.0, capacity)
    expected = dict.fromkeys(("profit", "expected", "random", "everyone", "oracle"), 0.0)
    for ranked in lists(rows):
        calls = [pair for pair in ranked if pair[0] * value > 1.0][:capacity]
        rate = sum(label for _, label in ranked) / len(ranked)
        expected["profit"] += sum(value * label - 1 for _, label in calls)
        expected["expected"] += sum(value * chance - 1 for chance, _ in calls)
        expected["random"] += len(calls) * (value * rate - 1)
        expected["everyone"] += min(capacity, len(ranked)) * (value * rate - 1)
        expected["oracle"] += min(capacity, sum(label for _, label in ranked)) * (value - 1)

    measured = point_metrics(rows, 0.5, money)

    named = {name: "profit_call_everyone" if name == "everyone" else f"profit_{name}" for name in expected}
    named["profit"] = "profit"
    assert {name: measured[named[name] + AT_CAPACITY] for name in expected} == pytest.approx(expected, abs=1e-6)
    over = measured["profit_over_everyone" + AT_CAPACITY]
    assert over == pytest.approx(expected["profit"] - expected["everyone"], abs=1e-6)


def test_a_capacity_of_all_rows_limits_nothing_and_none_earns_nothing() -> None:
    rows = months(1)
    unlimited = point_metrics(rows, 0.5, replace(MONEY, capacity=len(rows.labels)))
    profits = [name for name in unlimited if name.startswith("profit") and not name.endswith(AT_CAPACITY)]
    assert len(profits) == 6
    for name in profits:
        assert unlimited[name + AT_CAPACITY] == pytest.approx(unlimited[name])
    nothing = point_metrics(rows, 0.5, replace(MONEY, capacity=0))
    assert {nothing[name + AT_CAPACITY] for name in profits} == {0.0}
    assert not any(name.endswith(AT_CAPACITY) for name in point_metrics(rows, 0.5, replace(MONEY, capacity=None)))


def test_equal_probabilities_share_the_calls_in_proportion() -> None:
    labels = np.array([1, 0, 0, 0, 1, 0, 0, 0], dtype=np.int8)
    rows = Predictions(np.full(8, "2009-01"), labels, np.full(8, 0.5))
    measured = point_metrics(rows, 0.5, replace(MONEY, capacity=4))
    assert measured["profit" + AT_CAPACITY] == measured["profit_random" + AT_CAPACITY] == 0.0  # 4 calls, 1 subscriber


@pytest.mark.parametrize("resampled", ["rows", "months"])
def test_a_resample_earns_what_its_rows_do_each_month_with_its_own_capacity(resampled: str) -> None:
    rows = months(2)
    (weights,) = bootstrap_weights(rows.periods, 5, 3, resampled)  # type: ignore[arg-type]
    metrics = weighted_metrics(rows, 0.5, MONEY, weights)
    for draw, weight in enumerate(weights.astype(int)):
        total = dict.fromkeys((name for name in metrics if name.startswith("profit")), 0.0)
        for period in np.unique(rows.periods):
            inside = rows.periods == period
            times = int(weight[inside].sum() / inside.sum())
            places = np.flatnonzero(inside)
            drawn = np.repeat(places, weight[inside] // (times if resampled == "months" and times else 1))
            if not times:
                continue
            month = Predictions(rows.periods[drawn], rows.labels[drawn], rows.probabilities[drawn])
            once = point_metrics(month, 0.5, MONEY)
            for name in total:
                total[name] += once[name] * times
        assert {name: metrics[name][draw] for name in total} == pytest.approx(total)


def test_the_months_add_up_and_their_intervals_hold_them() -> None:
    rows = months(4)
    by_month = profits_by_month(rows, MONEY, 200, seed=1)
    pooled = point_metrics(rows, 0.5, MONEY)
    assert [month.period for month in by_month] == ["2009-01", "2009-02", "2009-03"]
    for name, value in by_month[0].profits.items():
        assert sum(month.profits[name].value for month in by_month) == pytest.approx(pooled[name])
        assert value.low <= value.value <= value.high
    assert by_month[0].profits["profit"].low < by_month[0].profits["profit"].high
    again = evaluate(rows, 0.5, MONEY, 200, 1)
    assert again["profit"].low < again["profit"].value < again["profit"].high


WORTH = Worth(100.0, 80.0, 120.0, 90.0, 40.0, 60.0, 300.0)


def test_the_best_choice_is_the_models_only_if_it_earned_more() -> None:
    assert WORTH.best_choice is BestChoice.MODEL
    assert replace(WORTH, everyone=100.0).best_choice is BestChoice.EVERYONE
    assert replace(WORTH, profit=-5.0, everyone=-3.0).best_choice is BestChoice.NOBODY
    assert "calling everyone earned more" not in describe_worth(WORTH)
    assert describe_worth(replace(WORTH, everyone=101.0)).endswith("calling everyone earned more than choosing")
    assert "rate table" not in describe_worth(WORTH)


def test_worth_with_and_without_capacity_is_read_from_metrics_by_name() -> None:
    rows = months(5)
    metrics: dict[str, float] = {"capacity": 30.0}
    for name, metric in evaluate(rows, 0.5, MONEY, 200, 1, "months").items():
        metrics |= {name: metric.value, f"{name}_month_low": metric.low, f"{name}_month_high": metric.high}
    free, limited = worths_of(metrics, {"profit": 7.0}, "_month")
    assert (free.profit, free.rates, free.capacity) == (metrics["profit"], 7.0, None)
    assert (limited.profit, limited.rates, limited.capacity) == (metrics["profit_at_capacity"], None, 30.0)
    assert worths_of({"profit": 1.0, "profit_call_everyone": 2.0}, {}) == []
