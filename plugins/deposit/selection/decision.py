"""What was decided of a challenger: the gate's findings as values, the record in MLflow, and both in words. Pure.

Needs no model library, so that Airflow's environment can import it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class CriterionName(StrEnum):
    """What a criterion compares: always the challenger less its baseline."""

    LOG_LOSS = "log_loss_difference_upper_end"
    LOG_LOSS_LOWER = "log_loss_difference_lower_end"
    ROC_AUC_UPPER = "roc_auc_difference_upper_end"
    ROC_AUC = "roc_auc_difference"
    """Of decisions before the interval counted."""
    ACCURACY = "accuracy_difference"
    F1 = "f1_difference"
    LARGER = "larger_of_both_differences"


class ChallengeKind(StrEnum):
    """Why a challenger wants the place."""

    FIRST = "first"
    REFRESH = "refresh"
    CHANGE = "change"


@dataclass(frozen=True)
class Criterion:
    """One condition: the `value` that was observed, and the `threshold` that it had to meet."""

    name: CriterionName
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True)
class PairedInterval:
    """A metric of the challenger less that of its baseline, on the same rows, and the interval at a confidence."""

    difference: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class GateResult:
    """Passed only if there are criteria and every one is; the intervals are what the rule `gate` looks at."""

    criteria: tuple[Criterion, ...]
    log_loss: PairedInterval | None = None
    roc_auc: PairedInterval | None = None

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes champion."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)


@dataclass(frozen=True)
class SharedWindow:
    """The rows of the months for which it is known what either model would have answered without having seen them.

    Args:
        seen: the newest month (YYYY-MM) that the baseline was trained on.
        rows: how many they are.
        first: their first month; empty without rows.
        last: their last month.
        outcomes: how many different outcomes they have; with fewer than 2 there is nothing to compare.
    """

    seen: str
    rows: int
    first: str
    last: str
    outcomes: int

    @property
    def is_comparable(self) -> bool:
        """Whether models can be told apart on these rows."""
        return self.outcomes > 1


@dataclass(frozen=True)
class Overtaken:
    """The champion was trained through a later month (YYYY-MM) than the challenger's dataset has."""

    champion_end: str
    dataset_end: str


@dataclass(frozen=True)
class Comparison:
    """A challenger held against its baseline.

    Args:
        window: the rows that they were compared on.
        result: the criteria; none where there was nothing to compare on.
        kind: which of them count.
        overtaken: if no later data of the challenger can ever be new to the champion, as when its months are wrong.
    """

    window: SharedWindow
    result: GateResult
    kind: ChallengeKind
    overtaken: Overtaken | None = None


@dataclass(frozen=True)
class Decision:
    """What MLflow keeps of a version.

    Args:
        promoted: whether the version became champion.
        reason: the decision in words.
        champion_before: model id of the champion then.
        criteria: of the gate.
        rules: what the gate's decision holds for; None of one that a person made.
        by_hand: whether a person made it.
        gate: what the gate had decided before, in words, if a person decided otherwise.
        fallback: whether it is the rate table in the place of a champion that was too old.
    """

    promoted: bool
    reason: str
    champion_before: str | None = None
    criteria: tuple[Criterion, ...] = ()
    rules: Mapping[str, Any] | None = None
    by_hand: bool = False
    gate: str | None = None
    fallback: bool = False

    def to_json(self) -> dict[str, Any]:
        """As what `parse_decision` reads."""
        return asdict(self)


def parse_decision(text: str | None) -> Decision | None:
    """What `to_json` gave, of this version or an earlier one; None for None."""
    if text is None:
        return None
    content = json.loads(text)
    names = {field.name for field in fields(Decision)}
    criteria = tuple(Criterion(**{**item, "name": CriterionName(item["name"])}) for item in content.get("criteria", ()))
    return Decision(**{name: value for name, value in content.items() if name in names} | {"criteria": criteria})


def champion_reason(model_id: str, decision: Decision | None) -> str:
    """Why a version is champion, in words.

    >>> champion_reason("deposit-v3", Decision(promoted=False, reason="it lost"))
    'appointed by hand, although it lost'
    """
    if decision is None:
        return f"{model_id} is champion already, by hand: no gate has judged it"
    return decision.reason if decision.promoted else f"appointed by hand, although {decision.reason}"


def decision_of_gate(model_id: str, champion: str | None, comparison: Comparison, rules: Mapping[str, Any]) -> Decision:
    """The decision that follows from a comparison."""
    result = comparison.result
    reason = describe(model_id, champion, comparison)
    return Decision(result.passed, reason, champion, result.criteria, rules)


def decision_of_person(model_id: str, before: str | None, recorded: Decision | None, why: str | None) -> Decision:
    """The decision to make a version champion manually; what the gate had decided of it is kept with it."""
    gate = None
    if recorded is not None:
        gate = recorded.gate if recorded.by_hand else recorded.reason
    place = f", in place of {before}" if before else ""
    return Decision(
        promoted=True,
        champion_before=before,
        criteria=recorded.criteria if recorded else (),
        reason=f"{model_id} is champion by hand{place}: {why or 'no reason is given'}; "
        + (f"the gate: {gate}" if gate else "no gate has judged it"),
        rules=None,  # none of the gate's: the next `select` judges it anew
        by_hand=True,
        gate=gate,
    )


def describe(model_id: str, champion: str | None, comparison: Comparison) -> str:
    """What the gate decided, and why, in words."""
    window, result = comparison.window, comparison.result
    if result.passed:
        outcome = f"{model_id} becomes champion"
    elif champion:
        outcome = f"{model_id} is refused, {champion} stays champion"
    else:
        outcome = f"{model_id} is refused, there is no champion"
    baseline = champion or "a constant (the rate of the months before)"
    span = f"{window.rows:,} calls of {window.first} to {window.last}"
    rows = span if result.criteria else f"after {window.seen}"
    findings = _findings(window, result, comparison.kind)
    return f"{outcome}: against {baseline}, {rows}: {findings}{_way_out(model_id, comparison.overtaken)}"


def _findings(window: SharedWindow, result: GateResult, kind: ChallengeKind) -> str:
    if not result.criteria:
        missing = f"one outcome only in {window.rows} calls" if window.rows else "no call"
        return f"there is {missing} to compare on"
    criteria = {criterion.name: criterion for criterion in result.criteria}
    if result.log_loss is None:
        accuracy, f1 = criteria[CriterionName.ACCURACY], criteria[CriterionName.F1]
        return f"accuracy {accuracy.value:+.4f} and F1 {f1.value:+.4f} (neither worse, at least one better)"
    loss, auc = result.log_loss, result.roc_auc
    interval = (
        f"log loss {loss.difference:+.4f} ({loss.confidence:.0%} paired interval {loss.low:+.4f} to {loss.high:+.4f}"
    )
    if kind is ChallengeKind.REFRESH or auc is None:
        return f"{interval}; the same recipes on newer months pass unless it lies above 0)"
    least = criteria[CriterionName.ROC_AUC_UPPER].threshold
    return (
        f"{interval}, must lie below 0), ROC AUC {auc.difference:+.4f} ({auc.low:+.4f} to {auc.high:+.4f}, must not "
        f"lie below {least:+.2f})"
    )


def _way_out(model_id: str, overtaken: Overtaken | None) -> str:
    """What can be done about a champion that no newer data of the challenger can be held against."""
    if overtaken is None:
        return ""
    return (
        f"; the champion was trained through {overtaken.champion_end}, the challenger's data ends in "
        f"{overtaken.dataset_end}: if the champion's months are dated wrongly, `deposit promote {model_id}` "
        "puts the challenger in its place"
    )
