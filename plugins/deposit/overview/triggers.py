"""The buttons of the page: DAG runs that they trigger, and parameters that a user can set. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deposit.overview.contenders import Contenders
from deposit.overview.snapshot import Snapshot
from deposit.registry.model_ids import registered_name

_TRAIN = (
    "Trains on the newest dataset and compares the challenger with the champion. If it passes the gate, it becomes "
    "champion and is released automatically."
)
_RELEASE = (
    "Packages the model and releases it: it starts beside the live model, is tested with real rows, and takes over its "
    "traffic. If it fails, the live model stays."
)
_MONITOR = (
    "Compares predictions with the training data, records verdicts and writes reports. If performance has decayed, a "
    "new model is trained."
)


@dataclass(frozen=True)
class Choice:
    """A value of a parameter, with an explanation."""

    value: str
    text: str


@dataclass(frozen=True)
class Field:
    """A parameter that a user can set. It is not sent if it is left empty.

    Args:
        name: name of the DAG parameter.
        label: label on the page.
        empty: meaning of an empty value.
        pattern: pattern of a text input; a field without one is a list of choices.
        choices: values to choose from.
    """

    name: str
    label: str
    empty: str
    pattern: str = ""
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Trigger:
    """One button.

    Args:
        key: ID on the page.
        dag: DAG to run.
        label: text of the button.
        sentence: description of the run, for the confirmation.
        conf: fixed parameters of the run.
        field: parameter that the user can set.
    """

    key: str
    dag: str
    label: str
    sentence: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    field: Field | None = None


def triggers_for(snapshot: Snapshot) -> list[Trigger]:
    """Return the buttons that are applicable to the current state."""
    release = Field("model", "Model", "the champion", choices=_models(snapshot.contenders))
    monitor = Field("period", "Month or day", "the months that are due", r"\d{4}-\d{2}(-\d{2})?")
    offered = [
        Trigger("train", "deposit_train", "Train", _TRAIN),
        Trigger("release", "deposit_release", "Release", _RELEASE, field=release),
        Trigger("monitor", "deposit_monitor", "Monitor", _MONITOR, field=monitor),
    ]
    records = snapshot.records
    # no rollback while a model of a replay is live: the replay returns the traffic by itself
    is_production = records and records.live and registered_name(records.live.model_id) == snapshot.name
    if records and records.live and records.previous and is_production and not records.lease:
        sentence = (
            f"Puts {records.previous.model_id} back into production in place of {records.live.model_id}. The champion "
            "does not change; the next model that passes the gate is released as usual."
        )
        offered.insert(2, Trigger("rollback", "deposit_release", "Roll back", sentence, conf={"rollback": True}))
    return offered


def _models(contenders: Contenders | None) -> tuple[Choice, ...]:
    if contenders is None:
        return ()
    champion = contenders.champion.model_id if contenders.champion else None
    return tuple(
        Choice(each.model_id, "champion" if each.model_id == champion else each.outcome.value if each.outcome else "")
        for each in contenders.newest
    )
