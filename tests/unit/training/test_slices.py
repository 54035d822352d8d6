"""Slices against fairlearn's MetricFrame, and how often and how surely gaps are flagged."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from sklearn.metrics import roc_auc_score

from deposit.model import metrics
from deposit.model.evaluation import Economics, Predictions
from deposit.training.slices import LEAST_ROWS, Slice, Slices, find_slices

ECONOMICS = Economics(deposit_value=4, call_cost=1)
MONTHS = ("2009-04", "2009-05", "2009-06")


def calls(history: pd.DataFrame, rows: int, seed: int) -> tuple[pd.DataFrame, Predictions]:
    """Real customers, and outcomes that come with the probabilities given."""
    generator = np.random.default_rng(seed)
    frame = history.sample(rows, random_state=seed).reset_index(drop=True)
    truth = 1 / (1 + np.exp(-generator.normal(-1.0, 1.0, rows)))
    labels = (generator.uniform(size=rows) < truth).astype(np.int8)
    return frame, Predictions(np.sort(generator.choice(MONTHS, rows)), labels, truth)


def group(slices: Slices, column: str, name: str) -> Slice:
    return next(each for each in slices.groups if (each.column, each.group) == (column, name))


def flags(slices: Slices) -> set[tuple[str, str, str]]:
    names = ("roc_auc", "calibration_gap", "call_rate", "precision")
    return {(each.column, each.group, name) for each in slices.groups for name in names if getattr(each, name).flagged}


def test_metrics_and_intervals_are_those_of_a_metric_frame(history: pd.DataFrame) -> None:
    frame, predictions = calls(history[history["marital"] != "unknown"], 1000, seed=1)
    predictions = Predictions(np.full(1000, "2009-05"), predictions.labels, predictions.probabilities)

    def precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
        return float(labels[probabilities > 0.25].mean())

    expected = MetricFrame(
        metrics={
            "roc_auc": roc_auc_score,
            "calibration_gap": lambda labels, probabilities: (probabilities - labels).mean(),
            "call_rate": lambda labels, probabilities: (probabilities > 0.25).mean(),
            "precision": precision,
        },
        y_true=predictions.labels,
        y_pred=predictions.probabilities,
        sensitive_features=frame["marital"],
        n_boot=60,
        ci_quantiles=[0.025, 0.975],
        random_state=7,
    )

    slices = find_slices(frame, predictions, ECONOMICS, seed=7)

    low, high = expected.by_group_ci
    for name in ("married", "single"):
        slice_ = group(slices, "marital", name)
        assert slice_.rows == (frame["marital"] == name).sum()
        for metric in expected.by_group:
            estimate, width = getattr(slice_, metric), high[metric][name] - low[metric][name]
            assert estimate.value == pytest.approx(expected.by_group[metric][name], abs=1e-12)
            # the two draw other samples: what differs is a fraction of the interval's own width
            assert [estimate.low, estimate.high] == pytest.approx(
                [low[metric][name], high[metric][name]], abs=0.35 * width
            )
    assert slices.overall.roc_auc.value == pytest.approx(expected.overall["roc_auc"], abs=1e-12)


def test_roc_auc_is_over_pairs_of_one_month() -> None:
    generator = np.random.default_rng(5)
    strata, labels = np.repeat([0, 1], 300), generator.integers(0, 2, 600).astype(np.int8)
    probabilities = (generator.uniform(size=600) + 0.3 * labels + strata).round(1)  # with ties
    weights = np.ones((1, 600))

    won, pairs = metrics.concordance(labels, probabilities, strata, 3, weights)

    alone = [roc_auc_score(labels[strata == each], probabilities[strata == each]) for each in (0, 1)]
    assert (won / np.where(pairs > 0, pairs, 1))[0] == pytest.approx([*alone, 0.0], abs=1e-12)
    assert roc_auc_score(labels, probabilities) < min(alone)


def test_known_gaps_are_flagged_and_no_others(history: pd.DataFrame) -> None:
    frame, predictions = calls(history, 8000, seed=2)
    single = (frame["marital"] == "single").to_numpy()
    cellular = (frame["contact"] == "cellular").to_numpy()
    assert flags(find_slices(frame, predictions, ECONOMICS, seed=7)) == set()
    generator = np.random.default_rng(3)
    blind = predictions.probabilities.copy()
    blind[single] = generator.permutation(blind[single])
    over = np.where(cellular, predictions.probabilities, np.minimum(predictions.probabilities + 0.1, 1))

    ranked = flags(find_slices(frame, Predictions(predictions.periods, predictions.labels, blind), ECONOMICS, seed=7))
    gapped = flags(find_slices(frame, Predictions(predictions.periods, predictions.labels, over), ECONOMICS, seed=7))

    assert ("marital", "single", "roc_auc") in ranked
    assert ("contact", "telephone", "calibration_gap") in gapped
    assert ("contact", "telephone", "roc_auc") not in gapped


def test_groups_that_differ_in_nothing_are_rarely_flagged(history: pd.DataFrame) -> None:
    # 5 % of cards may flag anything: of 30, six or more happen once in 300 times
    flagged = [bool(flags(find_slices(*calls(history, 1500, seed), ECONOMICS, seed))) for seed in range(30)]
    assert sum(flagged) < 6


def test_small_groups_are_counted_and_not_shown(history: pd.DataFrame) -> None:
    frame, predictions = calls(history, 1000, seed=4)
    counts = frame["job"].value_counts()

    slices = find_slices(frame, predictions, ECONOMICS, seed=7)

    assert {each.group for each in slices.groups if each.column == "job"} == set(counts[counts >= LEAST_ROWS].index)
    assert slices.suppressed["job"] == (counts < LEAST_ROWS).sum() > 0
    assert all(each.rows >= LEAST_ROWS for each in slices.groups)


def test_age_bands_begin_at_their_lowest_age(history: pd.DataFrame) -> None:
    frame, predictions = calls(history, 4000, seed=6)
    slices = find_slices(frame, predictions, ECONOMICS, seed=7)
    assert group(slices, "age band", "30 to 39").rows == frame["age"].between(30, 39).sum()
    assert group(slices, "age band", "0 to 29").rows == (frame["age"] < 30).sum()
    assert sum(each.rows for each in slices.groups if each.column == "age band") + 100 > 4000


def test_one_outcome_only_is_measured_and_not_compared(history: pd.DataFrame) -> None:
    frame, predictions = calls(history, 1000, seed=8)
    none = Predictions(predictions.periods, np.zeros(1000, dtype=np.int8), predictions.probabilities)
    slices = find_slices(frame, none, ECONOMICS, seed=7)
    assert flags(slices) == set()
    assert np.isnan(slices.overall.roc_auc.value)
    assert slices.overall.precision.value == 0
