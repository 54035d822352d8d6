"""Events: rejected challengers, requested retrainings, failed runs, restarts; and their timeline with the releases.

Needs no model library, so that Airflow's environment can import it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Connection, func, insert, select, text, update

from deposit.database import transaction
from deposit.errors import DepositError
from deposit.sections import DatabaseSettings
from deposit.tables import events

logger = logging.getLogger("deposit")

_WEBHOOK_SECONDS = 10.0


class EventKind(StrEnum):
    """Rejected challenger, requested retraining, failed DAG run, restarted service."""

    CHALLENGE = "challenge"
    RETRAINING = "retraining"
    FAILURE = "failure"
    RESTART = "restart"


@dataclass(frozen=True)
class Event:
    """The identity of an event: two events with equal fields are the same event, whatever their reasons say.

    Args:
        kind: kind of the event.
        model_id: challenger, or model that has decayed; empty for failures and restarts.
        champion: for a challenge, the champion that the challenger was compared with; empty if there was none.
        period: for a retraining, the month or day in which the model has decayed.
        day: for a retraining, the day on which monitoring found the decay.
    """

    kind: EventKind
    model_id: str
    champion: str = ""
    period: str = ""
    day: date | None = None


@dataclass(frozen=True)
class TimelineEntry:
    """One row of the view `timeline`; an event has no `release_id`, and its state is always `noted`."""

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
    """Whether this event has been recorded before."""
    same = [events.c[name].is_not_distinct_from(value) for name, value in vars(event).items()]
    return connection.scalar(select(events.c.id).where(*same).limit(1)) is not None


def record(connection: Connection, event: Event, reason: str, details: Mapping[str, Any] | None = None) -> None:
    """Insert an event; `reason` is for people, `details` are values for queries."""
    connection.execute(insert(events).values(**vars(event), reason=reason, details=dict(details or {})))


def record_failure(connection: Connection, dag: str, run: str, reason: str) -> None:
    """Insert an event for a failed DAG run, once however often the failure is reported."""
    details = {"dag": dag, "run": run}
    condition = (events.c.kind == EventKind.FAILURE) & (events.c.details == details)
    if connection.scalar(select(events.c.id).where(condition).limit(1)) is None:
        record(connection, Event(EventKind.FAILURE, ""), reason, details)


_HOUR = timedelta(hours=1)


def record_restart(connection: Connection, part: str, at: datetime, total: int | None, before: int | None) -> None:
    """Count the restarts of a service, in one event per hour; a restart that is already counted adds nothing.

    Args:
        connection: connection inside a transaction.
        part: name of the service.
        at: time of its newest restart; ignored if more than an hour ago.
        total: restarts since the service was created; None if nothing counts them, and a poll sees at most one.
        before: `total` at the previous poll; None to take it from the newest event, if there is one.
    """
    mine = (events.c.kind == EventKind.RESTART) & (events.c.details["part"].astext == part)
    last = connection.execute(select(events).where(mine).order_by(events.c.id.desc()).limit(1)).first()
    known: dict[str, Any] = last.details if last else {"last": "", "total": None}
    if at < datetime.now(UTC) - _HOUR or known["last"] == at.isoformat():
        return
    row = last if last and abs(last.at - at) < _HOUR else None
    restarts = _more(total, known["total"] if before is None else before) + (row.details["restarts"] if row else 0)
    details = {"part": part, "last": at.isoformat(), "total": total, "restarts": restarts}
    reason = f"{part} ended and was started again; within an hour: {restarts}"
    if row is None:
        record(connection, Event(EventKind.RESTART, ""), reason, details)
    else:
        connection.execute(update(events).where(events.c.id == row.id).values(details=details, reason=reason))


def _more(total: int | None, before: int | None) -> int:
    """Restarts since the previous poll, at least one: the count of a re-created service starts again at zero."""
    return 1 if total is None or before is None else max(1, total - before)


def newest(connection: Connection, kind: EventKind, model_id: str) -> datetime | None:
    """Time of the newest event of this kind for a model; None if there is none.

    Events in the future are ignored: the clock has been set back since.
    """
    condition = (events.c.kind == kind) & (events.c.model_id == model_id) & (events.c.at <= func.clock_timestamp())
    moment: datetime | None = connection.scalar(select(func.max(events.c.at)).where(condition))
    return moment


def timeline(connection: Connection, most: int) -> list[TimelineEntry]:
    """The newest `most` releases and events, newest first."""
    rows = connection.execute(text("SELECT * FROM timeline ORDER BY at DESC LIMIT :most"), {"most": most}).mappings()
    return [TimelineEntry(**row) for row in rows]


def report_failure(database: DatabaseSettings, webhook_url: SecretStr | None, dag: str, run: str, reason: str) -> None:
    """Record a failed run, and post it to the webhook if one is set; if either fails, the other is still tried."""
    try:
        with transaction(database) as connection:
            record_failure(connection, dag, run, reason)
    except DepositError as error:
        logger.error("the failure of %s could not be recorded as an event: %s", dag, error)
    if webhook_url is not None:
        _post_alert(webhook_url.get_secret_value(), dag, run, reason)


def _post_alert(url: str, dag: str, run: str, reason: str) -> None:
    """Post the fields of Grafana's webhook payload that receivers read; never log the URL, which may hold a secret."""
    labels = {"alertname": "DAG failed", "dag": dag, "run": run}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": reason}}
    body = {"status": "firing", "title": f"DAG failed: {dag}", "message": reason, "alerts": [alert]}
    try:
        httpx.post(url, json=body, timeout=_WEBHOOK_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        logger.error(
            "the failure of %s could not be posted to DEPOSIT_MONITOR__WEBHOOK_URL: %s", dag, type(error).__name__
        )
