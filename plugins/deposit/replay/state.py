"""What of a replay is done: its predictions in PostgreSQL, and a row for each finished month in the object store."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, text

from deposit.data.period import Period
from deposit.database import reachable
from deposit.errors import SourceError, UpstreamError
from deposit.settings import Settings
from deposit.store import ObjectStore

_WAIT_SECONDS, _PAUSE_SECONDS, _QUIET_SECONDS = 120.0, 0.2, 3.0


@dataclass(frozen=True)
class ReplayedMonth:
    """One month: who answered, how good it was where that can be told, and what was done."""

    period: str
    model_id: str
    rows: int
    rate: float
    roc_auc: float | None
    lift_10: float | None
    profit: float | None
    profit_call_everyone: float | None
    verdict: str
    why: str
    action: str


class ReplayState:
    """The finished months of one replay."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._store, self._bucket = ObjectStore(settings.store), settings.store.reports_bucket
        self._name = name

    def read(self, period: str) -> ReplayedMonth | None:
        """A month, if it is finished."""
        try:
            content = self._store.get(self._bucket, self._key(period))
        except SourceError:
            return None
        return ReplayedMonth(**json.loads(content))

    def write(self, month: ReplayedMonth) -> None:
        """Finish a month."""
        self._store.put(self._bucket, self._key(month.period), json.dumps(asdict(month)).encode())

    def publish(self, html: str) -> str:
        """Keep the chart; where it is."""
        return self._store.put(self._bucket, f"replay/{self._name}.html", html.encode(), "text/html; charset=utf-8")

    def _key(self, period: str) -> str:
        return f"replay/{self._name}/{period}.json"


def predictions_by_id(engine: Engine, span: Period, prefix: str) -> dict[str, str]:
    """Prediction ids by customer, of the span and of the models whose ids begin with `prefix`."""
    return _pairs(
        engine,
        "SELECT customer_id, prediction_id::text FROM predictions WHERE starts_with(model_id, :prefix)"
        " AND event_time >= :start AND event_time < :end AND customer_id IS NOT NULL",
        {"prefix": prefix, "start": span.start, "end": span.end},
    )


def outcomes_by_id(engine: Engine, span: Period, prefix: str) -> dict[str, str]:
    """The same of those whose outcome was told."""
    return _pairs(
        engine,
        "SELECT DISTINCT customer_id, prediction_id::text FROM predictions JOIN outcomes USING (prediction_id)"
        " WHERE starts_with(model_id, :prefix) AND event_time >= :start AND event_time < :end"
        " AND customer_id IS NOT NULL",
        {"prefix": prefix, "start": span.start, "end": span.end},
    )


def wait_for(look: Callable[[], dict[str, str]], count: int, what: str) -> dict[str, str]:
    """Wait until so many have reached PostgreSQL. Raises UpstreamError if they do not come."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while len(found := look()) < count:
        if time.monotonic() > deadline:
            raise UpstreamError(f"{len(found)} of {count} {what} reached PostgreSQL: see the shipper's log")
        time.sleep(_PAUSE_SECONDS)
    return found


def wait_until_stable(look: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What has reached PostgreSQL when no more comes: of a replay that was killed, some may be under way."""
    found, since = look(), time.monotonic()
    while found and time.monotonic() - since < _QUIET_SECONDS:
        time.sleep(_PAUSE_SECONDS)
        now = look()
        if len(now) != len(found):
            found, since = now, time.monotonic()
    return found


def _pairs(engine: Engine, statement: str, given: dict[str, object]) -> dict[str, str]:
    with reachable(engine), engine.connect() as connection:
        return dict(connection.execute(text(statement), given).tuples().all())
