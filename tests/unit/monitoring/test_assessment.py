from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitored import MONEY, Trained, observe

from deposit.model.evaluation import Predictions, evaluate
from deposit.model.reference import ReferenceProfile
from deposit.monitoring.assessment import Assessment, Classification, assess, classify
from deposit.monitoring.performance import performance
from deposit.monitoring.profile import PeriodProfile
from deposit.monitoring.quality import Fault, faults
from deposit.monitoring.status import PeriodStatus


def judged_of(observed: PeriodProfile, trained: Trained) -> Assessment:
    return assess(observed, trained.reference, trained.threshold, trained.expected, MONEY)


def verdict(observed: PeriodProfile, trained: Trained) -> Classification:
    return judged_of(observed, trained).verdict


def month(trained: Trained, rows: int, seed: int) -> tuple[pd.DataFrame, Any, Any]:
    """Rows drawn from those of training, with their scores and outcomes."""
    places = np.random.default_rng(seed).integers(len(trained.frame), size=rows)
    frame = trained.frame.iloc[places].reset_index(drop=True)
    return frame, trained.probabilities[places], frame["y"].to_numpy(np.int8)


def test_months_like_training_raise_no_alarm(trained: Trained) -> None:
    sizes = np.geomspace(1_000, 100_000, 200).astype(int)
    found = []
    for seed, rows in enumerate(sizes):
        frame, probabilities, labels = month(trained, rows, seed)
        found.append(verdict(observe(frame, probabilities, trained, labels), trained))
    alarms = [each.sentence for each in found if each.kind != PeriodStatus.STABLE]
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
    found = verdict(observe(frame, probabilities, trained, labels), trained)
    assert found.kind in (PeriodStatus.DATA_QUALITY_FAILURE, PeriodStatus.DATA_DRIFT)
    assert column in found.sentence


def test_other_customers_of_the_same_kind_are_a_population_shift(trained: Trained) -> None:
    old = trained.frame["age"] > 45
    frame, probabilities = trained.frame[old].reset_index(drop=True), trained.probabilities[old.to_numpy()]
    labels = (np.random.default_rng(3).random(len(frame)) < probabilities).astype(np.int8)
    found = verdict(observe(frame, probabilities, trained, labels), trained)
    assert found.kind == PeriodStatus.DATA_DRIFT
    assert "age" in found.sentence


def test_scores_that_no_longer_rank_are_decay_whatever_the_customers(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 4)
    shuffled = np.random.default_rng(5).permutation(labels)
    found = verdict(observe(frame, probabilities, trained, shuffled), trained)
    assert found.kind == PeriodStatus.PERFORMANCE_DEGRADED
    assert "ranks worse" in found.sentence
    assert "the population is as in training" in found.sentence


def test_probabilities_that_are_far_off_are_decay(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 6)
    off = 1 / (1 + np.exp(-(np.log(probabilities / (1 - probabilities)) + 2.5)))
    found = verdict(observe(frame, off, trained, labels), trained)
    assert found.kind == PeriodStatus.PERFORMANCE_DEGRADED
    assert "probabilities are off" in found.sentence


def test_the_real_regime_change_is_seen_on_real_rows(trained: Trained, history: pd.DataFrame) -> None:
    rows = history[history["period"] == "2010-05"].reset_index(drop=True)
    found = verdict(observe(rows, trained.score(rows), trained, rows["y"].to_numpy(np.int8)), trained)
    assert found.kind in (PeriodStatus.DATA_DRIFT, PeriodStatus.PERFORMANCE_DEGRADED)
    assert "euribor3m" in found.sentence


def test_without_outcomes_it_says_so(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 2_000, 7)
    nothing = verdict(observe(frame, probabilities, trained), trained)
    few = verdict(observe(frame, probabilities, trained, None), trained)
    assert nothing.kind == few.kind == PeriodStatus.STABLE
    assert "too few outcomes" in nothing.sentence
    assert "too few outcomes" not in verdict(observe(frame, probabilities, trained, labels), trained).sentence


@pytest.mark.parametrize("subscribed", [0, 1])
def test_outcomes_of_one_value_that_no_month_of_training_had_are_a_data_fault(
    trained: Trained, subscribed: int
) -> None:
    frame, probabilities, labels = month(trained, 5_000, 9)
    found = judged_of(observe(frame, probabilities, trained, np.full_like(labels, subscribed)), trained)
    lowest, highest = (f"{rate:.1%}" for rate in (trained.reference.lowest_rate, trained.reference.highest_rate))
    assert found.verdict.kind == PeriodStatus.DATA_QUALITY_FAILURE
    assert found.verdict.sentence == (
        f"The data is broken: outcomes: all 5,000 that are known are `{'yes' if subscribed else 'no'}`, "
        f"the share that subscribed was {lowest} to {highest} in the months of training"
    )
    assert not {"roc_auc", "pr_auc", "f1", "lift_10", "capture_30"} & found.performance.keys()
    assert found.performance["ece"].value > 0


def test_of_a_model_that_kept_no_monthly_rates_the_rate_of_all_rows_is_taken(trained: Trained) -> None:
    written = trained.reference.to_json()
    old = {name: value for name, value in written.items() if not name.endswith("est_rate")}
    reference = ReferenceProfile.from_json(old)
    frame, probabilities, labels = month(trained, 5_000, 9)
    found = verdict(observe(frame, probabilities, trained, 0 * labels), replace(trained, reference=reference))
    assert written.keys() - old.keys() == {"lowest_rate", "highest_rate"}
    assert found.kind == PeriodStatus.DATA_QUALITY_FAILURE
    assert f"the share that subscribed was {reference.rate:.1%} in training" in found.sentence


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
    found = judged_of(observe(frame, probabilities, trained, few), trained)
    assert found.verdict.kind == PeriodStatus.PERFORMANCE_DEGRADED
    assert "probabilities are off" in found.verdict.sentence
    assert "roc_auc" not in found.performance
    assert "ranks" not in found.verdict.sentence


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
        found = verdict(observed, replace(trained, expected=expected))
        assert found.kind in (PeriodStatus.STABLE, PeriodStatus.DATA_DRIFT)
        assert found.sentence.endswith("how well it ranks cannot be told")


@pytest.mark.parametrize(
    ("broken", "declines", "moved", "kind"),
    [
        ([], [], [], PeriodStatus.STABLE),
        ([], None, [], PeriodStatus.STABLE),
        ([], [], ["age"], PeriodStatus.DATA_DRIFT),
        ([], None, ["age"], PeriodStatus.DATA_DRIFT),
        ([], ["it ranks worse"], [], PeriodStatus.PERFORMANCE_DEGRADED),
        ([], ["it ranks worse"], ["age"], PeriodStatus.PERFORMANCE_DEGRADED),
        ([Fault("age", "gone")], [], [], PeriodStatus.DATA_QUALITY_FAILURE),
        ([Fault("age", "gone")], ["it ranks worse"], ["age"], PeriodStatus.DATA_QUALITY_FAILURE),
    ],
)
def test_the_rule(broken: list[Fault], declines: list[str] | None, moved: list[str], kind: PeriodStatus) -> None:
    found = classify(broken, declines, moved, ranked=True)
    assert found.kind == kind
    told = [fault.column for fault in broken] or [*(declines or ()), *moved]
    assert all(each in found.sentence for each in told)
    assert found.sentence[0].isupper()


def test_groups_of_scores_measure_as_the_rows_do(trained: Trained) -> None:
    frame, probabilities, labels = month(trained, 5_000, 8)
    grouped = performance(observe(frame, probabilities, trained, labels).scored, trained.threshold, MONEY)
    rows = Predictions(frame["period"].to_numpy(dtype=str), labels, probabilities)
    exact = evaluate(rows, trained.threshold, MONEY, 200, 0)
    for name in ("accuracy", "f1", "roc_auc", "pr_auc", "brier", "log_loss", "ece", "capture_30"):
        assert grouped[name].value == pytest.approx(exact[name].value, abs=5e-4), name
        for bound in ("low", "high"):
            width = exact[name].high - exact[name].low
            assert getattr(grouped[name], bound) == pytest.approx(getattr(exact[name], bound), abs=0.25 * width), name


def test_a_reference_survives_being_written(trained: Trained) -> None:
    assert ReferenceProfile.from_json(trained.reference.to_json()) == trained.reference
    assert replace(trained.reference, rows=1) != trained.reference
