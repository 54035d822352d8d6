"""What of a replay is done: its predictions in PostgreSQL, and a row for each finished month in the object store."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, text

from deposit.data.period import Period
from deposit.database import reachable
from deposit.errors import SourceError, UpstreamError
from deposit.store import Bucket
from deposit.waiting import wait_until

_WAIT_SECONDS, _PAUSE_SECONDS, _QUIET_SECONDS = 120.0, 0.2, 3.0


@dataclass(frozen=True)
class ReplayedMonth:
    """One month: who answered, how good it was where outcomes are known, what was done, whether answers were stale."""

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
    stale: bool = False


class ReplayState:
    """The finished months of one replay."""

    def __init__(self, reports: Bucket, name: str) -> None:
        self._bucket = reports
        self._name = name

    def read(self, period: str) -> ReplayedMonth | None:
        """A month, if it is finished."""
        try:
            content = self._bucket.get(self._key(period))
        except SourceError:
            return None
        return ReplayedMonth(**json.loads(content))

    def write(self, month: ReplayedMonth) -> None:
        """Finish a month."""
        self._bucket.put(self._key(month.period), json.dumps(asdict(month)).encode())

    def publish(self, html: str) -> str:
        """Keep the chart; where it is."""
        return self._bucket.put(f"replay/{self._name}.html", html.encode(), "text/html; charset=utf-8")

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
    """The same of those whose outcome was reported."""
    return _pairs(
        engine,
        "SELECT DISTINCT customer_id, prediction_id::text FROM predictions JOIN outcomes USING (prediction_id)"
        " WHERE starts_with(model_id, :prefix) AND event_time >= :start AND event_time < :end"
        " AND customer_id IS NOT NULL",
        {"prefix": prefix, "start": span.start, "end": span.end},
    )


def wait_for(look: Callable[[], dict[str, str]], count: int) -> None:
    """Wait until so many have reached PostgreSQL, predictions and outcomes. Raises UpstreamError if they do not."""
    rows = wait_until(look, _WAIT_SECONDS, _PAUSE_SECONDS, lambda rows: len(rows) >= count)
    if len(rows) < count:
        raise UpstreamError(
            f"{len(rows)} of {count} predictions with outcomes reached PostgreSQL: see the shipper's log"
        )


def wait_until_stable(look: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What has reached PostgreSQL when no more comes: of a replay that was killed, some may be under way."""
    rows = look()
    newer = wait_until(look, _QUIET_SECONDS, _PAUSE_SECONDS, lambda newer: len(newer) != len(rows)) if rows else rows
    return newer if len(newer) == len(rows) else wait_until_stable(look)


def _pairs(engine: Engine, statement: str, given: dict[str, object]) -> dict[str, str]:
    with reachable(engine), engine.connect() as connection:
        return dict(connection.execute(text(statement), given).all())
