"""Progress of a replay: its predictions in PostgreSQL, and a record of each finished month in the object store."""

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
    """A replayed month: the model that served, its metrics where outcomes are known, its verdict, and the action taken.

    `stale` says whether the model was older than its limit.
    """

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
        """The record of a month; None if it is not finished."""
        try:
            content = self._bucket.get(self._key(period))
        except SourceError:
            return None
        return ReplayedMonth(**json.loads(content))

    def write(self, month: ReplayedMonth) -> None:
        """Record a finished month."""
        self._bucket.put(self._key(month.period), json.dumps(asdict(month)).encode())

    def publish(self, html: str) -> str:
        """Store the page with the chart; returns its URI."""
        return self._bucket.put(f"replay/{self._name}.html", html.encode(), "text/html; charset=utf-8")

    def _key(self, period: str) -> str:
        return f"replay/{self._name}/{period}.json"


def predictions_by_id(engine: Engine, span: Period, prefix: str) -> dict[str, str]:
    """Prediction ids by customer id, for a period and models whose ids begin with `prefix`."""
    return _pairs(
        engine,
        "SELECT customer_id, prediction_id::text FROM predictions WHERE starts_with(model_id, :prefix)"
        " AND event_time >= :start AND event_time < :end AND customer_id IS NOT NULL",
        {"prefix": prefix, "start": span.start, "end": span.end},
    )


def outcomes_by_id(engine: Engine, span: Period, prefix: str) -> dict[str, str]:
    """The same, for predictions whose outcome was reported."""
    return _pairs(
        engine,
        "SELECT DISTINCT customer_id, prediction_id::text FROM predictions JOIN outcomes USING (prediction_id)"
        " WHERE starts_with(model_id, :prefix) AND event_time >= :start AND event_time < :end"
        " AND customer_id IS NOT NULL",
        {"prefix": prefix, "start": span.start, "end": span.end},
    )


def wait_for(query: Callable[[], dict[str, str]], count: int) -> None:
    """Wait until `count` rows have reached PostgreSQL. Raises UpstreamError on a timeout."""
    rows = wait_until(query, _WAIT_SECONDS, _PAUSE_SECONDS, lambda rows: len(rows) >= count)
    if len(rows) < count:
        raise UpstreamError(
            f"{len(rows)} of {count} predictions with outcomes reached PostgreSQL: see the shipper's log"
        )


def wait_until_stable(query: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The rows in PostgreSQL once no more arrive: rows of an interrupted replay may still be in flight."""
    rows = query()
    newer = wait_until(query, _QUIET_SECONDS, _PAUSE_SECONDS, lambda newer: len(newer) != len(rows)) if rows else rows
    return newer if len(newer) == len(rows) else wait_until_stable(query)


def _pairs(engine: Engine, statement: str, values: dict[str, object]) -> dict[str, str]:
    with reachable(engine), engine.connect() as connection:
        return dict(connection.execute(text(statement), values).all())
