"""Select: the challenger of a training against today's champion, or a version by hand; safe to repeat, and to kill.

A decision is written down before an alias moves, so that a repeat finds it and finishes what was begun.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow.tracking import MlflowClient

from deposit.errors import DataError
from deposit.progress import Progress, log_progress
from deposit.registry import registry, tracking
from deposit.registry.registry import Version
from deposit.selection import gate
from deposit.selection.gate import Criterion, Overtaken
from deposit.settings import Settings
from deposit.training import history

DECISION, GATE = "deposit.decision", "deposit.gate"


@dataclass(frozen=True)
class Selection:
    """What became of a challenger; `promoted` by the gate or by hand, `is_champion` if it is champion now."""

    model_id: str
    champion_before: str | None
    promoted: bool
    is_champion: bool
    criteria: tuple[Criterion, ...]
    reason: str


def select(settings: Settings, training_run: str | None = None, progress: Progress = log_progress) -> Selection:
    """Compare the challenger of a training with the champion; promote it if it passes.

    By default it is the newest training of the dataset ingested last with today's settings. Raises GateError (nothing
    was trained, or the champion was deleted), DataError (no such training), IntegrityError (a model's bytes are gone or
    changed) or UpstreamError.
    """
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        challenger = _challenger(client, settings, training_run, progress)
        champion = registry.champion(settings)
        decision = _recorded(client, settings, challenger)
        if champion is not None and champion.version == challenger.version:
            return _selection(challenger, decision or _by_hand(challenger), is_champion=True)
        rules = _rules(settings, champion)
        if decision is None or decision["rules"] != rules:
            progress(f"comparing {challenger.model_id} with {champion.model_id if champion else 'a constant'}")
            decision = {"rules": rules, **_decide(settings, challenger, champion)}
            _record(client, settings, challenger, decision)
        if decision["promoted"]:
            registry.set_champion(settings, challenger, champion)
        return _selection(challenger, decision, is_champion=decision["promoted"])


def promote(settings: Settings, model_id: str, why: str | None = None) -> Selection:
    """Make a registered version the champion without the gate, and record that somebody did, and why.

    Raises DataError (no such version), IntegrityError (its bytes are gone or changed) or UpstreamError.
    """
    client, version = tracking.connect(settings), registry.by_id(settings, model_id)
    registry.load(settings, version)
    with tracking.mlflow_errors(settings):
        champion = registry.appointed(settings)
        is_champion = champion is not None and champion.version == version.version
        recorded = _recorded(client, settings, version)
        if is_champion and recorded is not None and recorded["promoted"]:
            return _selection(version, recorded, is_champion=True)
        decision = promotion(version, None if is_champion else champion, recorded, why)
        _record(client, settings, version, decision)
        if not is_champion:
            registry.set_champion(settings, version, champion)
        return _selection(version, decision, is_champion=True)


def promotion(
    version: Version, before: Version | None, recorded: Mapping[str, Any] | None, why: str | None
) -> dict[str, Any]:
    """The decision to make a version champion by hand; what the gate had decided of it is kept with it."""
    gate = recorded and (recorded["gate"] if recorded.get("by_hand") else recorded["reason"])
    place = f", in place of {before.model_id}" if before else ""
    return {
        "rules": None,  # none of the gate's: the next `select` judges it anew
        "by_hand": True,
        "champion_before": before.model_id if before else None,
        "promoted": True,
        "criteria": recorded["criteria"] if recorded else [],
        "gate": gate,
        "reason": f"{version.model_id} is champion by hand{place}: {why or 'no reason is given'}; "
        + (f"the gate: {gate}" if gate else "no gate has judged it"),
    }


def reason_of(settings: Settings, version: Version) -> str:
    """Why a version is champion, in words."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        decision = _recorded(client, settings, version)
    if decision is None:
        return str(_by_hand(version)["reason"])
    return str(decision["reason"]) if decision["promoted"] else f"appointed by hand, although {decision['reason']}"


def _challenger(client: MlflowClient, settings: Settings, run_id: str | None, progress: Progress) -> Version:
    training = history.named(client, run_id) if run_id else history.newest(client, settings)
    progress(f"selecting from run {training.info.run_id}, a training on dataset {training.data.tags[history.DATASET]}")
    run = history.challenger(client, training)
    if run is None:
        raise DataError(
            f"the challenger of training {training.info.run_id} was deleted in MLflow, or files of its model are gone "
            "or changed: `deposit train` makes it anew"
        )
    return registry.register(client, settings, run)


def _rules(settings: Settings, champion: Version | None) -> dict[str, Any]:
    """What a decision holds for: another champion or other settings need another decision."""
    return {
        **settings.select.model_dump(),
        "bootstrap": settings.train.bootstrap,
        "seed": settings.train.seed,
        "champion": champion.model_id if champion else None,
    }


def _decide(settings: Settings, challenger: Version, champion: Version | None) -> dict[str, Any]:
    outcome = gate.compare(settings, challenger, champion)
    verdict = outcome.verdict
    if verdict.passed:
        done = f"{challenger.model_id} becomes champion"
    elif champion:
        done = f"{challenger.model_id} is refused, {champion.model_id} stays champion"
    else:
        done = f"{challenger.model_id} is refused, there is no champion"
    return {
        "champion_before": champion.model_id if champion else None,
        "promoted": verdict.passed,
        "criteria": [asdict(criterion) for criterion in verdict.criteria],
        "reason": f"{done}: against {outcome.rival}, {outcome.where}: {verdict.summary}"
        + way_out(challenger, outcome.overtaken),
    }


def way_out(challenger: Version, overtaken: Overtaken | None) -> str:
    """What can be done, in words, about a champion that no newer data of the challenger can be held against."""
    if overtaken is None:
        return ""
    return (
        f"; the champion was trained through {overtaken.rival_through}, the challenger's data ends in "
        f"{overtaken.dataset_end}: if the champion's months are dated wrongly, `deposit promote {challenger.model_id}` "
        "puts the challenger in its place"
    )


def _recorded(client: MlflowClient, settings: Settings, version: Version) -> dict[str, Any] | None:
    tags = client.get_model_version(settings.mlflow.model_name, str(version.version)).tags
    if DECISION not in tags:
        return None
    decision: dict[str, Any] = json.loads(tags[DECISION])
    return decision


def _record(client: MlflowClient, settings: Settings, version: Version, decision: Mapping[str, Any]) -> None:
    """Store a decision with the run, if it is still there, and the version; the tag that counts comes last."""
    if tracking.run(client, version.run_id) is not None:
        client.log_dict(version.run_id, dict(decision), "gate.json")
    judged = "passed" if decision["promoted"] else "refused"
    tags = {GATE: "by hand" if decision.get("by_hand") else judged}
    for item in decision["criteria"]:
        state = "passed" if item["passed"] else "failed"
        tags[f"{GATE}.{item['name']}"] = f"{state}: {item['value']:+.6f}, threshold {item['threshold']:+g}"
    for name, value in {**tags, DECISION: json.dumps(decision)}.items():
        client.set_model_version_tag(settings.mlflow.model_name, str(version.version), name, value)


def _by_hand(challenger: Version) -> dict[str, Any]:
    reason = f"{challenger.model_id} is champion already, by hand: no gate has judged it"
    return {"champion_before": None, "promoted": False, "criteria": [], "reason": reason}


def _selection(challenger: Version, decision: Mapping[str, Any], is_champion: bool) -> Selection:
    return Selection(
        model_id=challenger.model_id,
        champion_before=decision["champion_before"],
        promoted=decision["promoted"],
        is_champion=is_champion,
        criteria=tuple(Criterion(**item) for item in decision["criteria"]),
        reason=decision["reason"],
    )
