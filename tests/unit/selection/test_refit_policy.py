import numpy as np
import pytest

from deposit.sections import SelectSettings
from deposit.selection.decision import ChallengeKind, Comparison, CriterionName
from deposit.selection.gate import ChallengeHistory, RefitPolicy

MONTHS = tuple(f"2009-{month:02d}" for month in range(1, 10))
ROWS = 600
GENERATOR = np.random.default_rng(11)
PERIODS = np.repeat(MONTHS, ROWS)
TRUTH = GENERATOR.uniform(0.05, 0.6, len(PERIODS))
LABELS = (GENERATOR.uniform(size=len(TRUTH)) < TRUTH).astype(np.int8)
WORSE = 1 / (1 + np.exp(-(np.log(TRUTH / (1 - TRUTH)) + GENERATOR.normal(0, 1.0, len(TRUTH)))))


def decided(
    challenger,
    baseline,
    kind=ChallengeKind.REFRESH,
    as_of="2009-10",
    end="2009-06",
    rule="gate",
    delay=0,
    labels=LABELS,
) -> Comparison:
    thresholds = np.full(len(PERIODS), 0.3)
    history = ChallengeHistory(kind, PERIODS, labels, challenger, baseline, thresholds, thresholds, end)
    return RefitPolicy(SelectSettings(rule=rule), delay, resamples=200).decide(history, as_of)


def unseen(values, end="2009-06"):
    return np.where(end < PERIODS, values, np.nan)


def test_a_refresh_that_is_as_good_passes_and_a_change_does_not() -> None:
    assert decided(TRUTH, TRUTH).result.passed
    assert not decided(TRUTH, TRUTH, ChallengeKind.CHANGE).result.passed


def test_a_stale_champion_gives_way_and_a_clearly_worse_refresh_does_not_pass() -> None:
    assert decided(TRUTH, unseen(WORSE)).result.passed
    assert decided(TRUTH, unseen(WORSE), ChallengeKind.CHANGE).result.passed
    assert not decided(WORSE, unseen(TRUTH)).result.passed


def test_a_refresh_looks_at_the_newest_three_months_and_a_change_at_more() -> None:
    once = np.where(PERIODS < "2009-07", WORSE, TRUTH)

    refresh, change = (decided(TRUTH, once, kind) for kind in (ChallengeKind.REFRESH, ChallengeKind.CHANGE))

    assert (refresh.window.first, refresh.window.last, refresh.window.rows) == ("2009-07", "2009-09", 3 * ROWS)
    assert refresh.result.log_loss is not None
    assert refresh.result.log_loss.difference == 0
    assert (change.window.first, change.window.rows) == ("2009-01", len(PERIODS))
    assert change.result.passed


def test_months_that_the_baseline_has_seen_do_not_count() -> None:
    window = decided(TRUTH, unseen(TRUTH, "2009-08")).window

    assert (window.seen, window.first, window.rows) == ("2009-06", "2009-09", ROWS)


@pytest.mark.parametrize(("delay", "last"), [(0, "2009-08"), (2, "2009-06")])
def test_labels_that_are_not_known_yet_decide_nothing(delay, last) -> None:
    unknown = last < PERIODS
    other = np.where(unknown, 1 - LABELS, LABELS).astype(np.int8)

    one, two = (
        decided(TRUTH, WORSE, ChallengeKind.CHANGE, "2009-09", "", delay=delay, labels=each) for each in (LABELS, other)
    )

    assert one == two
    assert one.window.last == last


def test_a_champion_of_later_months_is_not_replaced() -> None:
    comparison = decided(TRUTH, np.full(len(TRUTH), 0.5), end="2013-03")

    assert not comparison.result.passed
    assert comparison.overtaken is not None
    assert (comparison.overtaken.champion_end, comparison.overtaken.dataset_end) == ("2013-03", "2009-09")


def test_the_first_champion_must_beat_the_rate_whatever_the_rule() -> None:
    for rule in ("gate", "accuracy_f1"):
        comparison = decided(TRUTH, np.full(len(TRUTH), LABELS.mean()), ChallengeKind.FIRST, end="", rule=rule)
        assert [each.name for each in comparison.result.criteria] == [
            CriterionName.LOG_LOSS,
            CriterionName.ROC_AUC_UPPER,
        ]
        assert comparison.result.passed


def test_the_plain_rule_looks_at_accuracy_and_f1() -> None:
    comparison = decided(TRUTH, WORSE, rule="accuracy_f1")

    names = [each.name for each in comparison.result.criteria]
    assert names == [CriterionName.ACCURACY, CriterionName.F1, CriterionName.LARGER]
    assert comparison.result.passed


def test_one_outcome_only_lets_no_change_pass_and_stops_no_refresh_that_is_as_good() -> None:
    refused = np.zeros(len(LABELS), np.int8)
    change = decided(TRUTH, WORSE, ChallengeKind.CHANGE, labels=refused)

    assert not change.window.is_comparable
    assert change.result.criteria == ()
    assert decided(TRUTH, TRUTH, labels=refused).result.passed
    assert not decided(np.minimum(TRUTH * 1.5, 0.99), TRUTH, labels=refused).result.passed


def test_without_a_month_to_compare_on_nothing_passes() -> None:
    assert not decided(TRUTH, np.full(len(TRUTH), np.nan)).result.passed
