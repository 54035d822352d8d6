from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitored import MONEY, Trained, observe, rates_of

from deposit.model.evaluation import Predictions, evaluate
from deposit.model.reference import ReferenceProfile
from deposit.monitoring.assessment import RATE, Assessment, assess, describe
from deposit.monitoring.drift import Drift
from deposit.monitoring.performance import performance
from deposit.monitoring.profile import PeriodProfile
from deposit.monitoring.quality import faults
from deposit.monitoring.status import Deviation, MonitoringRule, PeriodStatus


def assessed(observed: PeriodProfile, trained: Trained) -> Assessment:
    return assess(observed, trained.reference, trained.threshold, trained.expected, MONEY)


def month(trained: Trained, rows: int, seed: int) -> tuple[pd.DataFrame, Any, Any]:
    """Rows drawn from those of training, with their scores and outcomes."""
    places = np.random.default_rng(seed).integers(len(trained.frame), size=rows)
    frame = trained.frame.iloc[places].reset_index(drop=True)
    return frame, trained.probabilities[places], frame["y"].to_numpy(np.int8)


def test_months_like_training_raise_no_alarm(trained: Trained) -> None:
    sizes = np.geomspace(1_000, 100_000, 200).astype(int)
    months = []
    for seed, rows in enumerate(sizes):
        frame, probabilities, labels = month(trained, rows, seed)
        months.append(assessed(observe(frame, probabilities, trained, labels), trained))
    alarms = [describe(each) for each in months if each.status != PeriodStatus.STABLE]
    assert len(alarms) <= 0.02 * len(sizes), alarms


BROKEN = {
    "a column constant": ("job", lambda values, _: values.iloc[0]),
    "a number constant": ("age", lambda values, _: 40),
    "a unit changed": ("age", lambda values, _: values * 10),
    "a unit changed within the range": ("campaign", lambda values, _: (values * 10).clip(upper=100)),
    "an index in another unit": ("cons.price.idx", lambda values, _: values * 10),
    "a category renamed": ("contact", lambda values, _: values.replace("cellular", "mobile")),
    "a category swapped": ("contact", lambda values, _: values.map({"cellular": "telephone", "telephone": "cellular"})),
    "30 % unknown": ("education", lambda values, some: values.where(~some, "unknown")),
    "30 % not there": ("age", lambda values, some: values.astype(float).where(~some)),
    "30 % unknown of a column that often is": ("default", lambda values, some: values.where(~some, "unknown")),
}


@pytest.mark.parametrize("rows", [1_000, 20_000])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_column_is_named(trained: Trained, case: str, rows: int) -> None:
    column, broken = BROKEN[case]
    frame, probabilities, labels = month(trained, rows, 1)
    some = np.random.default_rng(2).random(rows) < 0.3
    frame = frame.assign(**{column: broken(frame[column], some)})
    result = assessed(observe(frame, probabilities, trained, labels), trained)
    assert result.status in (PeriodStatus.DATA_QUALITY_FAILURE, PeriodStatus.DATA_DRIFT)
    assert column in describe(result)


def test_other_customers_of_the_same_kind_are_a_population_shift(trained: Trained) -> None:
    old = trained.frame["age"] > 45
    frame, probabilities = trained.frame[old].reset_index(drop=True), trained.probabilities[old.to_numpy()]
    labels = (np.random.default_rng(3).random(len(frame)) < probabilities).astype(np.int8)
    result = assessed(observe(frame, probabilities, trained, labels), trained)
    assert result.status == PeriodStatus.DATA_DRIFT
    assert "age" in describe(result)


def test_scores_that_no_longer_rank_are_decay_whatever_the_customers(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 4)
    shuffled = np.random.default_rng(5).permutation(labels)
    result = assessed(observe(frame, probabilities, trained, shuffled), trained)
    assert result.status == PeriodStatus.PERFORMANCE_DEGRADED
    assert "ranks worse" in describe(result)
    assert "the population is as in training" in describe(result)


def test_probabilities_that_are_far_off_are_decay(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 6)
    off = 1 / (1 + np.exp(-(np.log(probabilities / (1 - probabilities)) + 2.5)))
    result = assessed(observe(frame, off, trained, labels), trained)
    assert result.status == PeriodStatus.PERFORMANCE_DEGRADED
    assert "probabilities are off" in describe(result)


def test_the_real_regime_change_is_seen_on_real_rows(trained: Trained, history: pd.DataFrame) -> None:
    rows = history[history["period"] == "2010-05"].reset_index(drop=True)
    result = assessed(observe(rows, trained.score(rows), trained, rows["y"].to_numpy(np.int8)), trained)
    assert result.status in (PeriodStatus.DATA_DRIFT, PeriodStatus.PERFORMANCE_DEGRADED)
    assert "euribor3m" in describe(result)


def test_without_outcomes_it_says_so(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 2_000, 7)
    nothing = assessed(observe(frame, probabilities, trained), trained)
    few = assessed(observe(frame, probabilities, trained, None), trained)
    assert nothing.status == few.status == PeriodStatus.STABLE
    assert "too few outcomes" in describe(nothing)
    assert "too few outcomes" not in describe(assessed(observe(frame, probabilities, trained, labels), trained))


@pytest.mark.parametrize("subscribed", [0, 1])
def test_outcomes_of_one_value_that_no_month_of_training_had_are_a_data_fault(
    trained: Trained, subscribed: int
) -> None:
    frame, probabilities, labels = month(trained, 5_000, 9)
    result = assessed(observe(frame, probabilities, trained, np.full_like(labels, subscribed)), trained)
    lowest, highest = (f"{rate:.1%}" for rate in (trained.reference.lowest_rate, trained.reference.highest_rate))
    assert result.status == PeriodStatus.DATA_QUALITY_FAILURE
    assert describe(result) == (
        f"The data is broken: outcomes: all 5,000 known outcomes are `{'yes' if subscribed else 'no'}`, "
        f"the subscription rate was {lowest} to {highest} in the months of training"
    )
    assert not {"roc_auc", "pr_auc", "f1", "lift_10", "capture_30"} & result.performance.keys()
    assert result.performance["ece"].value > 0


def test_of_a_model_that_kept_no_monthly_rates_the_rate_of_all_rows_is_taken(trained: Trained) -> None:
    written = trained.reference.to_json()
    old = {name: value for name, value in written.items() if not name.endswith("est_rate")}
    reference = ReferenceProfile.from_json(old)
    frame, probabilities, labels = month(trained, 5_000, 9)
    result = assessed(observe(frame, probabilities, trained, 0 * labels), replace(trained, reference=reference))
    assert written.keys() - old.keys() == {"lowest_rate", "highest_rate"}
    assert result.status == PeriodStatus.DATA_QUALITY_FAILURE
    assert f"the subscription rate was {reference.rate:.1%} in training" in describe(result)


@pytest.mark.parametrize(
    ("known", "lowest", "fault"),
    [(199, 0.5, False), (200, 0.5, True), (1_000, 0.005, False), (5_000, 0.005, True), (5_000, 0.0, False)],
)
def test_few_outcomes_of_one_value_are_no_fault_nor_are_those_that_chance_explains(
    trained: Trained, known: int, lowest: float, fault: bool
) -> None:
    frame, probabilities, labels = month(trained, 5_000, 10)
    refused = observe(frame[:known], probabilities[:known], trained, 0 * labels[:known]).scored
    observed = replace(observe(frame, probabilities, trained), scored=refused)
    reference = replace(trained.reference, lowest_rate=lowest)
    assert [each.column for each in faults(reference, observed)] == (["outcomes"] if fault else [])


def test_probabilities_are_judged_where_few_subscribed(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 11)
    few = 0 * labels
    few[:10] = 1
    result = assessed(observe(frame, probabilities, trained, few), trained)
    assert result.status == PeriodStatus.PERFORMANCE_DEGRADED
    assert "probabilities are off" in describe(result)
    assert "roc_auc" not in result.performance
    assert "ranks" not in describe(result)


def test_where_ranking_cannot_be_judged_it_says_so_and_not_that_outcomes_are_few(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 3_000, 12)
    low = np.argsort(probabilities)[:400]
    rare = (np.arange(400) < round(probabilities[low].sum())).astype(np.int8)
    scored = observe(frame.iloc[low], probabilities[low], trained, rare).scored
    calm = replace(observe(frame, probabilities, trained), scored=scored)
    without = {name: value for name, value in trained.expected.items() if not name.startswith("roc_auc")}
    every = observe(frame, probabilities, trained, labels)
    assert rare.sum() < 20
    for observed, expected in ((calm, trained.expected), (every, without)):
        result = assessed(observed, replace(trained, expected=expected))
        assert result.status in (PeriodStatus.STABLE, PeriodStatus.DATA_DRIFT)
        assert describe(result).endswith("but its ranking cannot be assessed")


BROKEN_AGE = Deviation(MonitoringRule.INVALID_VALUES, "age", 0.5, (0.0, 0.0), 0.001, 1000)
WORSE = Deviation(MonitoringRule.RANKING, "roc_auc", 0.6, (0.75, 0.75), 0.03, 1000)
CALM, DRIFTED = Drift(0.1, 0.01, 0.2), Drift(0.5, 0.05, 0.2)


@pytest.mark.parametrize(
    ("broken", "degradations", "drifts", "status", "words"),
    [
        ([], [], {"age": CALM}, PeriodStatus.STABLE, []),
        ([], None, {"age": CALM}, PeriodStatus.STABLE, []),
        ([], [], {"age": DRIFTED}, PeriodStatus.DATA_DRIFT, ["age"]),
        ([], None, {"age": DRIFTED}, PeriodStatus.DATA_DRIFT, ["age"]),
        ([], [WORSE], {"age": CALM}, PeriodStatus.PERFORMANCE_DEGRADED, ["it ranks worse"]),
        ([], [WORSE], {"age": DRIFTED}, PeriodStatus.PERFORMANCE_DEGRADED, ["it ranks worse", "age"]),
        ([BROKEN_AGE], [], {"age": CALM}, PeriodStatus.DATA_QUALITY_FAILURE, ["age"]),
        ([BROKEN_AGE], [WORSE], {"age": DRIFTED}, PeriodStatus.DATA_QUALITY_FAILURE, ["age"]),
    ],
)
def test_the_rule(
    broken: list[Deviation],
    degradations: list[Deviation] | None,
    drifts: dict[str, Drift],
    status: PeriodStatus,
    words: list[str],
) -> None:
    result = Assessment(broken, degradations, drifts, rate_shifted=False, ranking_known=True, performance={})
    assert result.status == status
    assert all(each in describe(result) for each in words)
    assert describe(result)[0].isupper()


def test_the_share_that_subscribes_drifts_as_columns_do() -> None:
    result = Assessment([], [], {"age": CALM}, rate_shifted=True, ranking_known=True, performance={})
    assert (result.status, result.drifted) == (PeriodStatus.DATA_DRIFT, [RATE])


def test_a_fault_is_a_value(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 1_000, 13)
    broken = frame.assign(age=frame["age"].astype(float).where(np.arange(1_000) % 4 > 0))
    (fault,) = assessed(observe(broken, probabilities, trained, labels), trained).faults
    assert fault == Deviation(MonitoringRule.INVALID_VALUES, "age", 0.25, (0.0, 0.0), 0.001, 1_000)


def test_a_degradation_is_a_value(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 4)
    result = assessed(observe(frame, probabilities, trained, np.random.default_rng(5).permutation(labels)), trained)
    assert result.degradations
    worse = result.degradations[0]
    assert (worse.rule, worse.column, worse.rows) == (MonitoringRule.RANKING, "roc_auc", 5_000)
    assert worse.expected == (trained.expected["roc_auc_month_mean"],) * 2
    assert worse.expected[0] - worse.observed > worse.tolerance >= 0.03
    assert worse.observed == result.performance["roc_auc"].value


def test_calls_by_the_rate_table_earn_what_its_rows_do(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 8)
    observed = observe(frame, probabilities, trained, labels)
    rows = Predictions(np.full(len(frame), "2010-05"), labels, rates_of(frame, trained.reference))
    exact = evaluate(rows, 0.0, MONEY, 200, 0)
    earned = assessed(observed, trained).performance
    for end in ("", "_at_capacity"):
        of_rates = earned[f"profit_rates{end}"]
        assert of_rates.value == pytest.approx(exact[f"profit{end}"].value, abs=1e-6)
        assert of_rates.low < of_rates.value < of_rates.high
        assert of_rates.value != pytest.approx(earned[f"profit{end}"].value, abs=1)
    alone = replace(observed, scored_by_rates=None)  # a model of before it kept the table
    assert assessed(alone, trained).performance.keys() == earned.keys() - {"profit_rates", "profit_rates_at_capacity"}


def test_groups_of_scores_measure_as_the_rows_do(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 8)
    grouped = performance(observe(frame, probabilities, trained, labels).scored, trained.threshold, MONEY)
    rows = Predictions(np.full(len(frame), "2010-05"), labels, probabilities)
    exact = evaluate(rows, trained.threshold, MONEY, 200, 0)
    profits = [name for name in exact if name.startswith("profit")]
    assert len(profits) == 12
    for name in profits:
        # a score at the edge of a group may fall on the other side of what pays, or of the capacity
        assert grouped[name].value == pytest.approx(exact[name].value, rel=0.01, abs=10), name
    for name in ("accuracy", "f1", "roc_auc", "pr_auc", "brier", "log_loss", "ece", "capture_30"):
        assert grouped[name].value == pytest.approx(exact[name].value, abs=5e-4), name
        for bound in ("low", "high"):
            width = exact[name].high - exact[name].low
            assert getattr(grouped[name], bound) == pytest.approx(getattr(exact[name], bound), abs=0.25 * width), name


def test_a_reference_survives_being_written(trained: Trained) -> None:
    assert ReferenceProfile.from_json(trained.reference.to_json()) == trained.reference
    assert replace(trained.reference, rows=1) != trained.reference
