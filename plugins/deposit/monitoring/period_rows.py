"""The predictions of a period, from PostgreSQL or from the archive."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from sys import intern
from typing import Any, Protocol

from sqlalchemy import Connection, text

from deposit.data.columns import FEATURES, NAMES
from deposit.data.period import Period
from deposit.model.reference import ReferenceProfile
from deposit.monitoring import profile
from deposit.monitoring.profile import PeriodProfile
from deposit.settings import Settings

_LOOK = text("SELECT EXISTS (SELECT FROM predictions WHERE event_time >= :start AND event_time < :end)")
SUBSCRIBED, CALLED, PROBABILITY = "subscribed", "called", "probability"
SAMPLED = (*NAMES, PROBABILITY, CALLED, SUBSCRIBED)
"""Columns of a sample; `subscribed` is None while the outcome is unknown."""
Sample = Sequence[Sequence[Any]]
_FEATURES = ", ".join(f'prediction."{column.sql_name}"' for column in FEATURES)
_SAMPLE = text(
    f"SELECT {_FEATURES},"  # noqa: S608 - our own names
    " prediction.probability, prediction.subscribes::integer, outcome.subscribed::integer FROM ("
    " SELECT * FROM predictions WHERE model_id = :model_id AND event_time >= :start AND event_time < :end"
    " ORDER BY md5(prediction_id::text) LIMIT :rows"
    ") AS prediction LEFT JOIN LATERAL ("
    " SELECT subscribed FROM current_outcomes"
    " WHERE current_outcomes.prediction_id = prediction.prediction_id LIMIT 1"
    ") AS outcome ON true ORDER BY prediction.prediction_id"
)
_MANIFESTS = text("SELECT uri FROM archives WHERE month = :month ORDER BY content")


class PeriodRows(Protocol):
    """Interface to the predictions of a period."""

    def models_of(self, name: str) -> list[str]:
        """Versions of the registered model `name` that predicted in the period."""

    def profile(self, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
        """Profile of one model's predictions."""

    def sample(self, model_id: str, rows: int) -> Sample:
        """Up to `rows` predictions with the columns `SAMPLED`, chosen by a hash of their ids."""


class StoredRows:
    """A period whose rows are all in PostgreSQL."""

    def __init__(self, connection: Connection, span: Period) -> None:
        self._connection = connection
        self._span = span

    def models_of(self, name: str) -> list[str]:
        """See `PeriodRows`."""
        return profile.models_of(self._connection, self._span, name)

    def profile(self, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
        """See `PeriodRows`."""
        return profile.profile_period(self._connection, self._span, model_id, reference)

    def sample(self, model_id: str, rows: int) -> Sample:
        """See `PeriodRows`."""
        window = {"model_id": model_id, "start": self._span.start, "end": self._span.end, "rows": rows}
        drawn = self._connection.execute(_SAMPLE, window)
        # keeps one copy of each string, not one per row
        return [[intern(value) if isinstance(value, str) else value for value in row] for row in drawn]


@contextmanager
def period_rows(settings: Settings, connection: Connection, span: Period) -> Iterator[PeriodRows]:
    """The rows of a period, valid within the block. Raises IntegrityError, and as the object store does."""
    # reading locks the partitions until the transaction ends; those dropped earlier are already listed in `archives`
    connection.execute(_LOOK, {"start": span.start, "end": span.end})
    manifests = list(connection.scalars(_MANIFESTS, {"month": span.name[:7]}))
    if not manifests:
        yield StoredRows(connection, span)
        return
    from deposit.monitoring.archived_rows import archived_rows

    with archived_rows(settings, connection, span, manifests) as rows:
        yield rows


def archived_until(connection: Connection) -> datetime | None:
    """When the newest archived row was stored in PostgreSQL: rows stored later are still there."""
    moment: datetime | None = connection.scalar(text("SELECT max(stored_until) FROM archives"))
    return moment
