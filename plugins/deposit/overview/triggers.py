"""What the page's buttons ask of Airflow: runs of DAGs, with what a person may choose. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deposit.overview.contenders import Contenders
from deposit.overview.snapshot import Snapshot
from deposit.registry.model_ids import registered_name

_TRAIN = (
    "Trains on the dataset ingested last and holds the challenger against the champion. If it passes the gate it "
    "becomes champion, and its release follows by itself."
)
_RELEASE = (
    "Packages the model and has it released: it starts beside the one that serves, is tested with real rows, and takes "
    "its traffic. If it fails, the old one goes on serving."
)
_MONITOR = (
    "Counts what was predicted, compares it with training, makes verdicts and writes reports. A decay has a new model "
    "trained."
)


@dataclass(frozen=True)
class Choice:
    """A value of a parameter, and its explanation."""

    value: str
    text: str


@dataclass(frozen=True)
class Field:
    """A parameter that a person may give; left empty it is not sent.

    Args:
        name: of the DAG's parameter.
        label: what it is called on the page.
        empty: what it means if it is left empty.
        pattern: what the browser wants of a text that is written; choices are offered without one.
        choices: to choose from.
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
        key: its name on the page.
        dag: what it runs.
        label: on the button.
        sentence: what comes of it, for the question before it.
        conf: parameters of the run that nobody chooses.
        field: the one that a person may choose.
    """

    key: str
    dag: str
    label: str
    sentence: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    field: Field | None = None


def triggers_for(snapshot: Snapshot) -> list[Trigger]:
    """The buttons that make sense now."""
    release = Field("model", "Model", "the champion", choices=_models(snapshot.contenders))
    monitor = Field("period", "Month or day", "the months that are due", r"\d{4}-\d{2}(-\d{2})?")
    offered = [
        Trigger("train", "deposit_train", "Train", _TRAIN),
        Trigger("release", "deposit_release", "Release", _RELEASE, field=release),
        Trigger("monitor", "deposit_monitor", "Monitor", _MONITOR, field=monitor),
    ]
    records = snapshot.records
    # a replay's model has nothing of production's before it, and gives the traffic back by itself
    ours = records and records.live and registered_name(records.live.model_id) == snapshot.name
    if records and records.live and records.previous and ours and not records.lease:
        sentence = (
            f"Puts {records.previous.model_id} back to traffic, in the place of {records.live.model_id}. The champion "
            "stays what it is: the next one that passes the gate is released again."
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
