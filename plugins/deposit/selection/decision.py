"""Decisions on a challenger: the gate's result as values, the record in MLflow, and both in words. Pure.

Needs no model library, so that Airflow's environment can import it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class CriterionName(StrEnum):
    """The value that a criterion checks: always the challenger minus its baseline."""

    LOG_LOSS = "log_loss_difference_upper_end"
    LOG_LOSS_LOWER = "log_loss_difference_lower_end"
    ROC_AUC_UPPER = "roc_auc_difference_upper_end"
    ROC_AUC = "roc_auc_difference"
    """Used in decisions made before the interval of ROC AUC was checked."""
    ACCURACY = "accuracy_difference"
    F1 = "f1_difference"
    LARGER = "larger_of_both_differences"


class ChallengeKind(StrEnum):
    """Why a challenger is compared with a baseline."""

    FIRST = "first"
    REFRESH = "refresh"
    CHANGE = "change"


@dataclass(frozen=True)
class Criterion:
    """One condition: the observed `value`, and the `threshold` that it had to meet."""

    name: CriterionName
    value: float
    threshold: float
    passed: bool


@dataclass(frozen=True)
class PairedInterval:
    """A metric of the challenger minus that of its baseline on the same rows, with an interval at `confidence`."""

    difference: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class GateResult:
    """The criteria, with the intervals that rule `gate` checks; passed if there are criteria and all of them pass."""

    criteria: tuple[Criterion, ...]
    log_loss: PairedInterval | None = None
    roc_auc: PairedInterval | None = None

    @property
    def passed(self) -> bool:
        """Whether the challenger becomes champion."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)


@dataclass(frozen=True)
class SharedWindow:
    """The rows of the months for which out-of-time predictions of both models are known.

    Args:
        seen: newest month (YYYY-MM) that the baseline was trained on.
        rows: number of rows.
        first: first month of the rows; empty without rows.
        last: last month of the rows; empty without rows.
        outcomes: number of distinct outcomes; with fewer than 2 there is nothing to compare.
    """

    seen: str
    rows: int
    first: str
    last: str
    outcomes: int

    @property
    def is_comparable(self) -> bool:
        """Whether the rows can tell two models apart."""
        return self.outcomes > 1


@dataclass(frozen=True)
class Overtaken:
    """The champion was trained on later months (YYYY-MM) than the challenger's dataset has."""

    champion_end: str
    dataset_end: str


@dataclass(frozen=True)
class Comparison:
    """A challenger compared with its baseline.

    Args:
        window: rows that they were compared on.
        result: result of the gate; without criteria if there was nothing to compare on.
        kind: kind of challenge, which determines the criteria.
        overtaken: set if no data of the challenger can be new to the champion, for example because its months are
            wrong.
    """

    window: SharedWindow
    result: GateResult
    kind: ChallengeKind
    overtaken: Overtaken | None = None


@dataclass(frozen=True)
class Decision:
    """The decision on a version, as stored in MLflow.

    Args:
        promoted: whether the version became champion.
        reason: the decision in words.
        champion_before: model id of the champion at the time.
        criteria: criteria of the gate.
        rules: rules and champion that the gate's decision is valid for; None for a manual decision.
        by_hand: whether a person made the decision.
        gate: earlier decision of the gate in words, if a person overruled it.
        fallback: whether the version is the rate table that replaces an expired champion.
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
        """As JSON values, which `parse_decision` reads."""
        return asdict(self)


def parse_decision(text: str | None) -> Decision | None:
    """Parse a decision, also one written by an earlier version of the code; None for None."""
    if text is None:
        return None
    content = json.loads(text)
    names = {field.name for field in fields(Decision)}
    criteria = tuple(Criterion(**{**item, "name": CriterionName(item["name"])}) for item in content.get("criteria", ()))
    return Decision(**{name: value for name, value in content.items() if name in names} | {"criteria": criteria})


def champion_reason(model_id: str, decision: Decision | None) -> str:
    """Why a version is champion, in words.

    >>> champion_reason("deposit-v3", Decision(promoted=False, reason="it lost"))
    'promoted manually, although it lost'
    """
    if decision is None:
        return f"{model_id} is already champion, promoted manually: the gate has not evaluated it"
    return decision.reason if decision.promoted else f"promoted manually, although {decision.reason}"


def decision_of_gate(model_id: str, champion: str | None, comparison: Comparison, rules: Mapping[str, Any]) -> Decision:
    """The gate's decision for a comparison."""
    result = comparison.result
    reason = describe(model_id, champion, comparison)
    return Decision(result.passed, reason, champion, result.criteria, rules)


def decision_of_person(model_id: str, before: str | None, recorded: Decision | None, why: str | None) -> Decision:
    """The decision to promote a version manually; it keeps the gate's earlier decision in words."""
    gate = None
    if recorded is not None:
        gate = recorded.gate if recorded.by_hand else recorded.reason
    place = f", in place of {before}" if before else ""
    return Decision(
        promoted=True,
        champion_before=before,
        criteria=recorded.criteria if recorded else (),
        reason=f"{model_id} was promoted manually{place}: {why or 'no reason given'}; "
        + (f"the gate: {gate}" if gate else "the gate has not evaluated it"),
        rules=None,  # so that the next `select` runs the gate
        by_hand=True,
        gate=gate,
    )


def describe(model_id: str, champion: str | None, comparison: Comparison) -> str:
    """The gate's decision and the reasons for it, in words."""
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
        missing = f"only one outcome in {window.rows} calls" if window.rows else "no call"
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
    """What to do if no newer data of the challenger can be compared with the champion."""
    if overtaken is None:
        return ""
    return (
        f"; the champion was trained through {overtaken.champion_end}, the challenger's data ends in "
        f"{overtaken.dataset_end}: if the champion's months are dated wrongly, `deposit promote {model_id}` "
        "puts the challenger in its place"
    )
