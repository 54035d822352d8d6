"""Select: the challenger of a training against today's champion; safe to repeat, and to kill at any point.

A decision is written down before an alias moves, so that a repeat finds it and finishes what was begun.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import DataError, GateError
from deposit.model import contest, registry, tracking
from deposit.model.gate import Criterion
from deposit.model.registry import Version
from deposit.model.training import CHALLENGER_RUN, finished
from deposit.progress import Progress, log_progress
from deposit.settings import Settings

DECISION, GATE = "deposit.decision", "deposit.gate"


@dataclass(frozen=True)
class Selection:
    """What became of a challenger; `promoted` if the gate let it through, `is_champion` if it is champion now."""

    model_id: str
    champion_before: str | None
    promoted: bool
    is_champion: bool
    criteria: tuple[Criterion, ...]
    reason: str


def select(settings: Settings, training_run: str | None = None, progress: Progress = log_progress) -> Selection:
    """Compare the challenger of a training (the newest by default) with the champion; promote it if it passes.

    Raises GateError (nothing was trained), DataError (no such training), IntegrityError (a model's bytes changed) or
    UpstreamError.
    """
    client = tracking.connect(settings)
    with tracking.translated(settings):
        training = _training(client, settings, training_run)
        run = client.get_run(training.data.tags[CHALLENGER_RUN])
        challenger = registry.register(client, settings, run)
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
            registry.appoint(settings, challenger, champion)
        return _selection(challenger, decision, is_champion=decision["promoted"])


def reason_of(settings: Settings, version: Version) -> str:
    """Why a version is champion, in words."""
    client = tracking.connect(settings)
    with tracking.translated(settings):
        decision = _recorded(client, settings, version)
    if decision is None:
        return str(_by_hand(version)["reason"])
    return str(decision["reason"]) if decision["promoted"] else f"appointed by hand, although {decision['reason']}"


def _training(client: MlflowClient, settings: Settings, run_id: str | None) -> Run:
    if run_id is None:
        newest = finished(client, tracking.experiment(client, settings.mlflow.experiment).experiment_id)
        if newest is None:
            raise GateError("there is no finished training to select from: run `deposit train`")
        return newest
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if tracking.is_absent(error):
            raise DataError(f"there is no MLflow run {run_id!r}: name the run of a training") from error
        raise
    if CHALLENGER_RUN not in run.data.tags or run.info.status != "FINISHED":
        raise DataError(f"MLflow run {run_id} is not a finished training: name one, or train anew")
    return run


def _rules(settings: Settings, champion: Version | None) -> dict[str, Any]:
    """What a decision holds for: another champion or other settings need another decision."""
    return {
        **settings.select.model_dump(),
        "bootstrap": settings.train.bootstrap,
        "seed": settings.train.seed,
        "champion": champion.model_id if champion else None,
    }


def _decide(settings: Settings, challenger: Version, champion: Version | None) -> dict[str, Any]:
    outcome = contest.hold(settings, challenger, champion)
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
        "reason": f"{done}: against {outcome.rival}, {outcome.where}: {verdict.summary}",
    }


def _recorded(client: MlflowClient, settings: Settings, version: Version) -> dict[str, Any] | None:
    tags = client.get_model_version(settings.mlflow.model_name, str(version.version)).tags
    if DECISION not in tags:
        return None
    decision: dict[str, Any] = json.loads(tags[DECISION])
    return decision


def _record(client: MlflowClient, settings: Settings, version: Version, decision: Mapping[str, Any]) -> None:
    """Store a decision with the run and the version; the tag that counts comes last."""
    client.log_dict(version.run_id, dict(decision), "gate.json")
    tags = {GATE: "passed" if decision["promoted"] else "refused"}
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
