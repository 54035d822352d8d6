"""Steps of the loop that release nothing, and the timeline that shows them beside the releases.

Needs no model library, so that Airflow's environment can import it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from deposit.tables import events


class EventKind(StrEnum):
    """A challenger that was refused; a retraining that was requested; a run of a DAG that failed."""

    CHALLENGE = "challenge"
    RETRAINING = "retraining"
    FAILURE = "failure"


@dataclass(frozen=True)
class Event:
    """What makes a step the same step again, however it is described.

    Args:
        model_id: the challenger, or the model that has decayed.
        champion: of a challenge, the model that it was held against; empty if there was none.
        period: of a retraining, the month or day in which the model has decayed.
        day: of a retraining, the day on which monitoring saw it.
    """

    kind: EventKind
    model_id: str
    champion: str = ""
    period: str = ""
    day: date | None = None


@dataclass(frozen=True)
class TimelineEntry:
    """One row of the view `timeline`; an event has no `release_id`, and stays in the state `noted`."""

    at: datetime
    kind: str
    model_id: str
    state: str
    updated_at: datetime
    why: str
    reason: str
    target: str
    release_id: int | None


def is_recorded(connection: Connection, event: Event) -> bool:
    """Whether this step was taken before."""
    same = [events.c[name].is_not_distinct_from(value) for name, value in vars(event).items()]
    return connection.scalar(select(events.c.id).where(*same).limit(1)) is not None


def record(connection: Connection, event: Event, reason: str, details: Mapping[str, Any] | None = None) -> None:
    """A new row; `reason` is for people, `details` are values for queries."""
    connection.execute(insert(events).values(**vars(event), reason=reason, details=dict(details or {})))


def record_failure(connection: Connection, dag: str, run: str, reason: str) -> None:
    """A new row for a run that failed, once however often it is reported; it is of no model."""
    details = {"dag": dag, "run": run}
    condition = (events.c.kind == EventKind.FAILURE) & (events.c.details == details)
    if connection.scalar(select(events.c.id).where(condition).limit(1)) is None:
        record(connection, Event(EventKind.FAILURE, ""), reason, details)


def newest(connection: Connection, kind: EventKind, model_id: str) -> datetime | None:
    """When the last step of this kind was taken for a model."""
    condition = (events.c.kind == kind) & (events.c.model_id == model_id)
    moment: datetime | None = connection.scalar(select(func.max(events.c.at)).where(condition))
    return moment


def timeline(connection: Connection, most: int) -> list[TimelineEntry]:
    """Releases and events, the newest first."""
    rows = connection.execute(text("SELECT * FROM timeline ORDER BY at DESC LIMIT :most"), {"most": most}).mappings()
    return [TimelineEntry(**row) for row in rows]
