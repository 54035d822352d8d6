import numpy as np
import pytest
from sklearn.metrics import f1_score

from deposit.training.rolling_origin import Fold, ForwardPredictions
from deposit.training.weighting import Standing, best_f1_threshold, exponential_weights, member_predictions

MONTHS = tuple(f"2009-{month:02d}" for month in range(1, 7))


def forward(rows: int = 400) -> ForwardPredictions:
    """A member that is right until March and wrong from April on, one that is the other way round, and a dull one."""
    generator = np.random.default_rng(3)
    truth = generator.normal(-1.0, 1.2, rows * len(MONTHS))
    labels = (generator.uniform(size=len(truth)) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    periods = np.repeat(MONTHS, rows)
    early = periods < "2009-04"
    log_odds = np.array([np.where(early, truth, -truth), np.where(early, -truth, truth), np.full(len(truth), -1.0)])
    folds = tuple(Fold(month, ("2008-12", *MONTHS[:place])) for place, month in enumerate(MONTHS))
    return ForwardPredictions(("early", "late", "dull"), folds, periods, labels, log_odds)


def test_weights_follow_what_was_right_in_the_months_before() -> None:
    history = Standing(forward()).history

    assert history["2009-01"] == pytest.approx({"early": 1 / 3, "late": 1 / 3, "dull": 1 / 3})
    assert history["2009-04"]["early"] > 0.7
    assert history["2009-06"]["late"] > history["2009-06"]["early"]
    assert all(sum(weights.values()) == pytest.approx(1) for weights in history.values())


def test_members_with_next_to_no_weight_are_left_out() -> None:
    losses = np.array([[0.1, 2.0, 2.0]])
    assert exponential_weights(losses).tolist() == pytest.approx([0.967, 0.017, 0.017], abs=1e-3)
    many = ForwardPredictions(
        tuple(f"m{n}" for n in range(20)), forward().folds, forward().periods, forward().labels,
        np.concatenate([forward().log_odds[:1], np.tile(forward().log_odds[1:2], (19, 1))]),
    )  # fmt: skip
    assert set(Standing(many).history["2009-04"]) == {"m0"}


def test_a_month_of_few_rows_moves_no_weight() -> None:
    few = forward(rows=49)
    assert Standing(few).weights() == pytest.approx({"early": 1 / 3, "late": 1 / 3, "dull": 1 / 3})


def test_the_log_odds_are_added_by_weight() -> None:
    standing = Standing(forward())
    rows = standing.forward.rows("2009-04")
    weights = np.array([standing.history["2009-04"].get(name, 0.0) for name in standing.forward.recipes])

    expected = 1 / (1 + np.exp(-(weights @ standing.forward.log_odds[:, rows])))

    assert standing.predictions.probabilities[rows] == pytest.approx(expected)


def test_the_plain_rule_takes_the_one_that_is_best_by_accuracy_and_f1() -> None:
    standing = Standing(forward(), "accuracy_f1")

    assert standing.history["2009-04"] == {"early": 1.0}
    rows = standing.forward.rows("2009-04")
    alone = member_predictions(standing.forward, "early").probabilities[rows]
    assert standing.predictions.probabilities[rows].tolist() == alone.tolist()


def test_a_threshold_is_that_of_the_months_before() -> None:
    standing = Standing(forward())
    known = standing.forward.periods < "2009-03"
    rows = standing.forward.rows("2009-03")
    values = standing.predictions.probabilities[known], standing.predictions.labels[known]

    assert set(standing.thresholds[rows]) == {best_f1_threshold(values[1], values[0])}
    assert set(standing.thresholds[standing.forward.rows("2009-01")]) == {0.5}


def test_the_threshold_has_the_best_f1() -> None:
    generator = np.random.default_rng(1)
    probabilities = generator.uniform(0.02, 0.6, 400)
    labels = (generator.uniform(size=400) < probabilities).astype(np.int8)

    threshold = best_f1_threshold(labels, probabilities)

    best = max(f1_score(labels, probabilities >= value) for value in probabilities)
    assert f1_score(labels, probabilities >= threshold) == pytest.approx(best)
