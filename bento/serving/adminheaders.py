"""Headers that only keys with the role admin may send: X-Event-Time for replays, X-Dry-Run for checks."""

import time
from datetime import UTC, datetime

from serving.access import ADMIN
from serving.http import Request
from serving.problems import refuse

_EVENT_TIME, _DRY_RUN = b"x-event-time", b"x-dry-run"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def event_time_of(request: Request) -> int:
    """When the prediction counts as made, µs since the epoch: now, or what an admin's X-Event-Time says.

    Raises RequestError 403 or 422.
    """
    given = request.headers.get(_EVENT_TIME)
    if given is None:
        return time.time_ns() // 1000
    _require_admin(request, "X-Event-Time")
    try:
        moment = datetime.fromisoformat(given.decode())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not _EARLIEST <= moment <= datetime.now(UTC):
        raise refuse(422, "must be a past time with its offset, like 2010-05-03T09:30:00Z", "X-Event-Time")
    return int(moment.timestamp() * 1_000_000)


def is_dry_run(request: Request) -> bool:
    """Whether the predictions shall leave no trace in the log, by an admin's X-Dry-Run.

    Raises RequestError 403 or 422.
    """
    if _DRY_RUN not in request.headers:
        return False
    _require_admin(request, "X-Dry-Run")
    if request.headers[_DRY_RUN] != b"true":
        raise refuse(422, "must be true, or left out", "X-Dry-Run")
    return True


def _require_admin(request: Request, header: str) -> None:
    if ADMIN not in request.client.roles:
        raise refuse(403, f"{header} is for keys with the role admin; leave it out", header)
