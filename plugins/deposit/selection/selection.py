"""Select: compare the challenger of a training with the champion, or promote a version manually. Idempotent.

A decision is recorded before an alias moves, so that a repeated call finds the decision and completes it.
"""

import json
from dataclasses import dataclass
from typing import Any

from deposit.data import dataset as datasets
from deposit.data.periods import month_after
from deposit.errors import DataError, IntegrityError
from deposit.progress import Progress, log_progress
from deposit.registry import tracking
from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import GateOutcome, Tag
from deposit.registry.versions import Version
from deposit.sections import SelectSettings, StoreSettings, TrainSettings
from deposit.selection.decision import (
    Comparison,
    Criterion,
    CriterionName,
    Decision,
    champion_reason,
    decision_of_gate,
    decision_of_person,
    parse_decision,
)
from deposit.selection.gate import RefitPolicy
from deposit.selection.standings import OpenedModel, challenge_history, open_model
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history

_CRITERION_TAGS = {
    CriterionName.LOG_LOSS: Tag.GATE_LOG_LOSS,
    CriterionName.LOG_LOSS_LOWER: Tag.GATE_LOG_LOSS_LOWER,
    CriterionName.ROC_AUC_UPPER: Tag.GATE_ROC_AUC_UPPER,
    CriterionName.ROC_AUC: Tag.GATE_ROC_AUC,
    CriterionName.ACCURACY: Tag.GATE_ACCURACY,
    CriterionName.F1: Tag.GATE_F1,
    CriterionName.LARGER: Tag.GATE_LARGER,
}


@dataclass(frozen=True)
class Selection:
    """The outcome for a challenger: `promoted` by the gate or manually; `is_champion` if it is champion now."""

    model_id: str
    champion_before: str | None
    promoted: bool
    is_champion: bool
    criteria: tuple[Criterion, ...]
    reason: str


def select(settings: Settings, training_run: str | None = None, progress: Progress = log_progress) -> Selection:
    """Compare the challenger of a training with the champion; promote it if it passes.

    The default is the newest training of the latest dataset with the current settings. Raises GateError (no such
    training, or the champion was deleted), DataError (no such training run), IntegrityError (a model's files are
    missing or changed) or UpstreamError.
    """
    models = ModelRegistry(settings)
    with models.errors():
        challenger = register_training(models, settings, training_run, progress)
        champion = models.champion()
        decision = read_decision(models, challenger)
        if champion is not None and champion.version == challenger.version:
            return _selection(challenger, decision, is_champion=True)
        train = settings.train
        rules = _rules(settings.select, train, champion)
        if decision is None or decision.rules != rules:
            progress(f"comparing {challenger.model_id} with {champion.model_id if champion else 'a constant'}")
            policy = RefitPolicy(settings.select, train.label_delay, train.bootstrap, train.seed)
            comparison = compare(models, settings.store, policy, challenger, champion)
            champion_id = champion.model_id if champion else None
            decision = decision_of_gate(challenger.model_id, champion_id, comparison, rules)
            record_decision(models, challenger, decision)
        if decision.promoted:
            models.set_champion(challenger, champion)
        return _selection(challenger, decision, is_champion=decision.promoted)


def promote(settings: Settings, model_id: str, why: str | None = None) -> Selection:
    """Promote a registered version without the gate, and record that a person did so, and why.

    Raises DataError (no such version), IntegrityError (its files are missing or changed) or UpstreamError.
    """
    models = ModelRegistry(settings)
    version = models.by_id(model_id)
    models.load(version)
    champion = models.alias_holder()
    is_champion = champion is not None and champion.version == version.version
    recorded = read_decision(models, version)
    if is_champion and recorded is not None and recorded.promoted:
        return _selection(version, recorded, is_champion=True)
    before = None if is_champion or champion is None else champion.model_id
    decision = decision_of_person(version.model_id, before, recorded, why)
    record_decision(models, version, decision)
    if not is_champion:
        models.set_champion(version, champion)
    return _selection(version, decision, is_champion=True)


def compare(
    models: ModelRegistry, store: StoreSettings, policy: RefitPolicy, challenger: Version, champion: Version | None
) -> Comparison:
    """Compare a challenger with the champion, or a constant, on out-of-time predictions. Raises IntegrityError."""
    ours = open_model(models, challenger)
    theirs = _open_champion(models, champion, challenger) if champion else None
    metadata = ours.artifact.metadata
    frame = datasets.load(ObjectStore(store).data, metadata.dataset, metadata.excluded_periods)
    # all labels of its dataset are known: the decision is for the first month whose labels are not
    return policy.decide(challenge_history(ours, theirs, frame), month_after(metadata.train_end, policy.delay + 1))


def read_decision(models: ModelRegistry, version: Version) -> Decision | None:
    """The recorded decision on a version; None if there is none."""
    return parse_decision(models.tags_of(version).get(Tag.DECISION))


def register_training(models: ModelRegistry, settings: Settings, run_id: str | None, progress: Progress) -> Version:
    """Register the model of a training run, by default the newest; returns its version. Raises as `select` does."""
    client = models.client
    training = history.training_by_run(client, run_id) if run_id else history.newest_training(client, settings)
    progress(f"selecting from run {training.info.run_id}, a training on dataset {training.data.tags[Tag.DATASET]}")
    run = history.challenger_run(client, training)
    if run is None:
        raise DataError(
            f"the challenger of training {training.info.run_id} was deleted in MLflow, or files of its model are "
            "missing or changed: `deposit train` recreates it"
        )
    return models.register(run)


def _open_champion(models: ModelRegistry, champion: Version, challenger: Version) -> OpenedModel:
    try:
        return open_model(models, champion)
    except IntegrityError as error:
        raise IntegrityError(
            f"{error}; or `deposit promote {challenger.model_id}` puts the challenger in its place"
        ) from error


def _rules(select: SelectSettings, train: TrainSettings, champion: Version | None) -> dict[str, Any]:
    """What a decision is valid for: another champion or other settings need another decision."""
    return {
        **select.model_dump(),
        "label_delay": train.label_delay,
        "bootstrap": train.bootstrap,
        "seed": train.seed,
        "champion": champion.model_id if champion else None,
    }


def record_decision(models: ModelRegistry, version: Version, decision: Decision) -> None:
    """Store a decision with the version and its run, if that still exists; the tag that is read back is set last."""
    content = decision.to_json()
    with models.errors() as client:
        if tracking.find_run(client, version.run_id) is not None:
            client.log_dict(version.run_id, content, "gate.json")
    outcome = GateOutcome.PASSED if decision.promoted else GateOutcome.REFUSED
    outcome = GateOutcome.FALLBACK if decision.fallback else outcome
    tags = {Tag.GATE: str(GateOutcome.MANUAL if decision.by_hand else outcome)}
    for criterion in decision.criteria:
        state = "passed" if criterion.passed else "failed"
        value = f"{state}: {criterion.value:+.6f}, threshold {criterion.threshold:+g}"
        tags[_CRITERION_TAGS[criterion.name]] = value
    models.set_tags(version, {**tags, Tag.DECISION: json.dumps(content)})


def _selection(version: Version, decision: Decision | None, is_champion: bool) -> Selection:
    return Selection(
        model_id=version.model_id,
        champion_before=decision.champion_before if decision else None,
        promoted=decision.promoted if decision else False,
        is_champion=is_champion,
        criteria=decision.criteria if decision else (),
        reason=decision.reason if decision else champion_reason(version.model_id, None),
    )
