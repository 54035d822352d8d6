import json
from typing import Any

import pytest

from deposit.selection.decision import (
    ChallengeKind,
    Comparison,
    Criterion,
    CriterionName,
    Decision,
    GateResult,
    Overtaken,
    PairedInterval,
    SharedWindow,
    champion_reason,
    decision_of_gate,
    decision_of_person,
    describe,
    parse_decision,
)

AUC = Criterion(CriterionName.ROC_AUC_UPPER, -0.07, -0.02, passed=False)
LOSS = Criterion(CriterionName.LOG_LOSS, -0.001, 0.0, passed=True)
REFUSED = Decision(False, "it lost", "deposit-v2", (AUC,), {"rule": "gate"})
WINDOW = SharedWindow("2009-04", 1234, "2009-05", "2010-11", 2)
EMPTY = SharedWindow("2010-11", 0, "", "", 0)


def test_a_champion_that_knows_all_months_is_named_with_its_way_out() -> None:
    text = describe(
        "deposit-v3",
        "deposit-v2",
        Comparison(EMPTY, GateResult(()), ChallengeKind.CHANGE, Overtaken("2013-03", "2010-11")),
    )
    assert "after 2010-11: there is no call to compare on" in text
    assert "trained through 2013-03, the challenger's data ends in 2010-11" in text
    assert "`deposit promote deposit-v3` puts the challenger in its place" in text


def test_another_refusal_has_no_way_out() -> None:
    text = describe("deposit-v3", "deposit-v2", Comparison(EMPTY, GateResult(()), ChallengeKind.CHANGE))
    assert text == "deposit-v3 is refused, deposit-v2 stays champion: against deposit-v2, after 2010-11: " + (
        "there is no call to compare on"
    )


def test_a_comparison_is_reported_with_all_that_it_was_judged_by() -> None:
    intervals = PairedInterval(-0.0123, -0.02, -0.001, 0.95), PairedInterval(-0.1, -0.13, -0.07, 0.95)
    result = GateResult((LOSS, AUC), *intervals)
    assert describe("deposit-v3", None, Comparison(WINDOW, result, ChallengeKind.FIRST)) == (
        "deposit-v3 is refused, there is no champion: against a constant (the rate of the months before), "
        "1,234 calls of 2009-05 to 2010-11: log loss -0.0123 (95% paired interval -0.0200 to -0.0010, "
        "must lie below 0), ROC AUC -0.1000 (-0.1300 to -0.0700, must not lie below -0.02)"
    )


def test_a_refresh_is_reported_with_what_it_had_to_pass() -> None:
    worse = Criterion(CriterionName.LOG_LOSS_LOWER, 0.004, 1e-6, passed=False)
    result = GateResult((worse,), PairedInterval(0.0123, 0.004, 0.02, 0.95))
    assert describe("deposit-v3", "deposit-v2", Comparison(WINDOW, result, ChallengeKind.REFRESH)) == (
        "deposit-v3 is refused, deposit-v2 stays champion: against deposit-v2, 1,234 calls of 2009-05 to 2010-11: "
        "log loss +0.0123 (95% paired interval +0.0040 to +0.0200; the same recipes on newer months pass unless it "
        "lies above 0)"
    )


def test_the_plain_rule_is_reported_with_both_differences() -> None:
    criteria = tuple(
        Criterion(name, 0.01, 0.0, passed=True)
        for name in (CriterionName.ACCURACY, CriterionName.F1, CriterionName.LARGER)
    )
    decision = decision_of_gate(
        "deposit-v3",
        "deposit-v2",
        Comparison(WINDOW, GateResult(criteria), ChallengeKind.CHANGE),
        {"rule": "accuracy_f1"},
    )
    assert decision.promoted
    assert decision.reason.startswith("deposit-v3 becomes champion: against deposit-v2, 1,234 calls")
    assert decision.reason.endswith("accuracy +0.0100 and F1 +0.0100 (neither worse, at least one better)")


def test_one_outcome_only_is_nothing_to_compare_on() -> None:
    window = SharedWindow("2009-04", 17, "2009-05", "2009-05", 1)
    assert "there is only one outcome in 17 calls to compare on" in describe(
        "deposit-v3", None, Comparison(window, GateResult(()), ChallengeKind.FIRST)
    )


@pytest.mark.parametrize(
    ("before", "recorded", "why", "reason"),
    [
        ("deposit-v2", REFUSED, "wrong years", ", in place of deposit-v2: wrong years; the gate: it lost"),
        (None, None, None, ": no reason given; the gate has not evaluated it"),
    ],
)
def test_a_promotion_by_hand_says_why_and_what_the_gate_decided(
    before: str | None, recorded: Decision | None, why: str | None, reason: str
) -> None:
    decision = decision_of_person("deposit-v3", before, recorded, why)
    assert decision.reason == f"deposit-v3 was promoted manually{reason}"
    assert decision.promoted
    assert decision.champion_before == before


def test_the_gate_s_decision_is_kept_through_any_number_of_promotions() -> None:
    once = decision_of_person("deposit-v3", "deposit-v2", REFUSED, "first")
    twice = decision_of_person("deposit-v3", "deposit-v2", once, "second")
    assert twice.criteria == (AUC,)
    assert twice.gate == "it lost"
    assert "first" not in twice.reason


def test_a_promotion_by_hand_holds_for_no_rules_of_the_gate() -> None:
    assert decision_of_person("deposit-v3", "deposit-v2", REFUSED, "why").rules != REFUSED.rules


@pytest.mark.parametrize("decision", [REFUSED, decision_of_person("deposit-v3", "deposit-v2", REFUSED, "why")])
def test_what_is_recorded_is_read_as_it_was(decision: Decision) -> None:
    assert parse_decision(json.dumps(decision.to_json())) == decision


def test_a_decision_of_an_earlier_version_is_read() -> None:
    criterion: dict[str, Any] = {"name": "roc_auc_difference", "value": -0.1, "threshold": -0.02, "passed": False}
    content = {"champion_before": None, "promoted": False, "criteria": [criterion], "reason": "it lost"}
    assert parse_decision(json.dumps(content | {"rules": {"rule": "gate"}})) == Decision(
        False, "it lost", None, (Criterion(CriterionName.ROC_AUC, -0.1, -0.02, passed=False),), {"rule": "gate"}
    )
    assert parse_decision(None) is None


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (None, "deposit-v3 is already champion, promoted manually: the gate has not evaluated it"),
        (REFUSED, "promoted manually, although it lost"),
        (Decision(True, "it won", criteria=(LOSS,)), "it won"),
    ],
)
def test_why_a_version_is_champion(decision: Decision | None, reason: str) -> None:
    assert champion_reason("deposit-v3", decision) == reason
