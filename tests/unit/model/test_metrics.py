import numpy as np
import pytest
from empulse.metrics import cost_loss
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from deposit.model import metrics
from deposit.model.evaluation import (
    Economics,
    Predictions,
    bootstrap_weights,
    evaluate,
    interval,
    point_metrics,
    weighted_metrics,
)

ECONOMICS = Economics(deposit_value=10.0, call_cost=1.0)


def some(seed: int, rows: int = 400, digits: int = 2) -> Predictions:
    """Rounded probabilities, so that there are ties."""
    generator = np.random.default_rng(seed)
    probabilities = generator.uniform(0.01, 0.99, rows).round(digits)
    labels = (generator.uniform(size=rows) < probabilities).astype(np.int8)
    periods = np.sort(generator.choice(["2009-01", "2009-02", "2009-03"], rows))
    return Predictions(periods, labels, probabilities)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), digits=st.integers(1, 6))
def test_metrics_agree_with_scikit_learn(seed: int, digits: int) -> None:
    rows = some(seed, digits=digits)
    called = rows.probabilities >= 0.4

    metrics = point_metrics(rows, 0.4, ECONOMICS)

    assert metrics["roc_auc"] == pytest.approx(reference.roc_auc_score(rows.labels, rows.probabilities))
    assert metrics["pr_auc"] == pytest.approx(reference.average_precision_score(rows.labels, rows.probabilities))
    assert metrics["brier"] == pytest.approx(reference.brier_score_loss(rows.labels, rows.probabilities))
    assert metrics["log_loss"] == pytest.approx(reference.log_loss(rows.labels, rows.probabilities))
    assert metrics["accuracy"] == pytest.approx(reference.accuracy_score(rows.labels, called))
    assert metrics["f1"] == pytest.approx(reference.f1_score(rows.labels, called))


def test_weighted_metrics_are_those_of_the_repeated_rows() -> None:
    rows = some(1)
    weights = next(iter(bootstrap_weights(rows.periods, 100, seed=3)))[:5]

    metrics = weighted_metrics(rows, 0.4, ECONOMICS, weights)

    for draw, weight in enumerate(weights.astype(int)):
        drawn = np.repeat(np.arange(len(weight)), weight)
        repeated = Predictions(rows.periods[drawn], rows.labels[drawn], rows.probabilities[drawn])
        expected = point_metrics(repeated, 0.4, ECONOMICS)
        assert {name: values[draw] for name, values in metrics.items()} == pytest.approx(expected)


def test_resamples_keep_the_number_of_rows_of_each_period_and_repeat_with_the_seed() -> None:
    rows = some(2)

    first, again = (np.concatenate(list(bootstrap_weights(rows.periods, 250, seed=5))) for _ in range(2))

    assert len(first) == 250
    assert (first == again).all()
    for period in np.unique(rows.periods):
        assert (first[:, rows.periods == period].sum(axis=1) == (rows.periods == period).sum()).all()


def test_lift_capture_and_profit_of_a_perfect_ranking() -> None:
    labels = np.array([1] * 20 + [0] * 80, dtype=np.int8)
    perfect = Predictions(np.full(100, "2009-01"), labels, np.where(labels == 1, 0.9, 0.05))

    metrics = point_metrics(perfect, 0.5, ECONOMICS)

    assert metrics["lift_10"] == pytest.approx(5.0)
    assert metrics["capture_30"] == pytest.approx(1.0)
    assert metrics["profit"] == metrics["profit_oracle"] == 180.0
    assert metrics["profit_call_everyone"] == 100.0


def test_a_constant_ranks_at_random() -> None:
    labels = np.array([1, 0] * 50, dtype=np.int8)

    metrics = point_metrics(Predictions(np.full(100, "2009-01"), labels, np.full(100, 0.5)), 0.5, ECONOMICS)

    assert metrics["roc_auc"] == 0.5
    assert metrics["lift_10"] == pytest.approx(1.0)
    assert metrics["capture_30"] == pytest.approx(0.3)
    assert metrics["ece"] == pytest.approx(0.0)


def test_small_months_are_left_out_of_the_month_mean() -> None:
    labels = np.array([1, 0] * 50 + [1, 0] * 5, dtype=np.int8)
    probabilities = np.concatenate([np.where(labels[:100] == 1, 0.9, 0.1), np.where(labels[100:] == 1, 0.1, 0.9)])
    periods = np.array(["2009-01"] * 100 + ["2009-02"] * 10)

    assert point_metrics(Predictions(periods, labels, probabilities), 0.5, ECONOMICS)["roc_auc_month_mean"] == 1.0


def test_one_class_gives_no_auc() -> None:
    assert np.isnan(metrics.roc_auc(np.ones(3, dtype=np.int8), np.array([0.1, 0.2, 0.3])))


def test_intervals_hold_the_value_and_grow_with_confidence() -> None:
    rows = some(4)

    intervals = evaluate(rows, 0.4, ECONOMICS, resamples=200, seed=1)

    assert all(metric.low <= metric.value <= metric.high for name, metric in intervals.items() if name != "ece")
    samples = np.arange(1000.0)
    assert interval(samples, 0.99)[0] < interval(samples, 0.9)[0]


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(1.5, 20.0))
def test_profit_is_what_empulse_makes_of_its_costs(seed: int, value: float) -> None:
    predictions = some(seed)
    money = Economics(deposit_value=value, call_cost=1.0)
    called = predictions.probabilities * value > 1.0
    everyone = np.ones_like(called)
    measured = point_metrics(predictions, 0.5, money)
    for name, calls in (("profit", called), ("profit_call_everyone", everyone)):
        cost = cost_loss(predictions.labels, calls.astype(int), tp_cost=1.0 - value, fp_cost=1.0)
        assert measured[name] == pytest.approx(-cost)
