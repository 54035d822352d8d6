from typing import Any

import pytest

from deposit.registry.registry import Version
from deposit.selection.gate import Overtaken
from deposit.selection.selection import promotion, way_out

CRITERION = {"name": "roc_auc_difference", "value": -0.1, "threshold": -0.02, "passed": False}
REFUSED = {"rules": {"rule": "gate"}, "promoted": False, "criteria": [CRITERION], "reason": "it lost"}


def version(number: int) -> Version:
    return Version(f"deposit-v{number}", number, "run", "2026-11-25T00:00:00+00:00", "abc", {}, ())


def test_a_champion_that_knows_all_months_is_named_with_its_way_out() -> None:
    text = way_out(version(3), Overtaken("2013-03", "2010-11"))
    assert "trained through 2013-03, the challenger's data ends in 2010-11" in text
    assert "`deposit promote deposit-v3` puts the challenger in its place" in text


def test_another_refusal_has_no_way_out() -> None:
    assert way_out(version(3), None) == ""


@pytest.mark.parametrize(
    ("before", "recorded", "why", "reason"),
    [
        (version(2), REFUSED, "wrong years", " by hand, in place of deposit-v2: wrong years; the gate: it lost"),
        (None, None, None, " by hand: no reason is given; no gate has judged it"),
    ],
)
def test_a_promotion_by_hand_says_why_and_what_the_gate_decided(
    before: Version | None, recorded: dict[str, Any] | None, why: str | None, reason: str
) -> None:
    decision = promotion(version(3), before, recorded, why)
    assert decision["reason"] == f"deposit-v3 is champion{reason}"
    assert decision["promoted"]
    assert decision["champion_before"] == (before.model_id if before else None)


def test_the_gate_s_decision_is_kept_through_any_number_of_promotions() -> None:
    once = promotion(version(3), version(2), REFUSED, "first")
    twice = promotion(version(3), version(2), once, "second")
    assert twice["criteria"] == [CRITERION]
    assert twice["gate"] == "it lost"
    assert "first" not in twice["reason"]


def test_a_promotion_by_hand_holds_for_no_rules_of_the_gate() -> None:
    assert promotion(version(3), version(2), REFUSED, "why")["rules"] != REFUSED["rules"]
