import numpy as np

from deposit.sections import SelectSettings
from deposit.selection.decision import GateResult
from deposit.selection.gate import SAME, PairedPredictions, by_accuracy_f1, must_be_better, must_not_be_worse

RULES = SelectSettings()
GENERATOR = np.random.default_rng(11)
TRUTH = GENERATOR.uniform(0.05, 0.6, 4000)
LABELS = (GENERATOR.uniform(size=4000) < TRUTH).astype(np.int8)
PERIODS = np.repeat(["2009-05", "2009-06", "2009-07", "2009-08"], 1000)


def noisy(scale: float, seed: int = 1):
    noise = np.random.default_rng(seed).normal(0, scale, len(TRUTH))
    return 1 / (1 + np.exp(-(np.log(TRUTH / (1 - TRUTH)) + noise)))


def contest(challenger, champion, rows=slice(None), thresholds=(0.3, 0.3)) -> PairedPredictions:
    return PairedPredictions(PERIODS[rows], LABELS[rows], challenger[rows], champion[rows], *thresholds)


def verdict(challenger, champion, rows=slice(None)) -> GateResult:
    return must_be_better(contest(challenger, champion, rows), RULES, resamples=300, seed=7)


def refreshed(challenger, champion, rows=slice(None)) -> GateResult:
    return must_not_be_worse(contest(challenger, champion, rows), RULES, resamples=300, seed=7)


def test_a_clearly_better_challenger_passes() -> None:
    result = verdict(TRUTH, noisy(1.0))

    assert result.passed
    assert [item.name for item in result.criteria] == ["log_loss_difference_upper_end", "roc_auc_difference_upper_end"]
    assert result.criteria[0].value < result.criteria[0].threshold == 0


def test_a_worse_and_an_equal_challenger_are_refused() -> None:
    assert not verdict(noisy(1.0), TRUTH).passed
    assert not verdict(TRUTH, TRUTH).passed


def test_better_by_chance_on_few_rows_is_refused() -> None:
    few = slice(0, 4000, 100)

    result = verdict(noisy(0.3), noisy(0.35, seed=2), few)

    assert not result.criteria[0].passed


def test_a_lower_log_loss_does_not_excuse_a_lost_ranking() -> None:
    constant = np.full(len(LABELS), LABELS.mean())
    miscalibrated = TRUTH**4

    result = verdict(constant, miscalibrated)

    assert result.criteria[0].passed
    assert not result.criteria[1].passed
    assert not result.passed


def test_accuracy_and_f1_need_one_better_and_none_worse() -> None:
    worse = noisy(1.5)

    assert by_accuracy_f1(contest(TRUTH, worse)).passed
    assert not by_accuracy_f1(contest(worse, TRUTH)).passed
    assert not by_accuracy_f1(contest(TRUTH, TRUTH)).passed


def test_each_side_decides_at_its_own_threshold() -> None:
    never = by_accuracy_f1(contest(TRUTH, TRUTH, thresholds=(0.3, 2.0)))

    assert {item.name: item.passed for item in never.criteria}["f1_difference"]


def test_a_refresh_passes_unless_it_is_clearly_worse() -> None:
    few = slice(0, 4000, 100)

    assert refreshed(TRUTH, noisy(1.0)).passed
    assert refreshed(TRUTH, TRUTH).passed
    assert refreshed(TRUTH, TRUTH - SAME / 10).passed
    assert refreshed(noisy(0.35, seed=2), noisy(0.3), few).passed
    worse = refreshed(noisy(1.0), TRUTH)
    assert not worse.passed
    assert [item.name for item in worse.criteria] == ["log_loss_difference_lower_end"]
    assert worse.criteria[0].value > 0


def test_nothing_judged_is_not_passed() -> None:
    assert not GateResult(()).passed
