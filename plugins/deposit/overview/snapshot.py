"""Everything that the page shows, read in one pass: MLflow, then one read-only transaction in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from deposit import events
from deposit.database import transaction
from deposit.errors import DepositError
from deposit.events import TimelineEntry
from deposit.monitoring import status
from deposit.monitoring.earnings import MonthWorth, latest_worths
from deposit.monitoring.status import PeriodAssessment
from deposit.overview.contenders import Contenders, read_contenders
from deposit.overview.monthly import ModelAge, MonthlyFigures, age_of, by_registered_model, read_figures
from deposit.release import leases, repository
from deposit.release.leases import Lease
from deposit.release.repository import Release
from deposit.sections import DatabaseSettings, EconomicsSettings, ExpirySettings
from deposit.settings import Settings

_STEPS, _VERDICTS, _MONTHS = 20, 60, 12
_READ_ONLY = ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = '10s'")
_NEWEST_STATE = text("SELECT at, rows, oldest_seconds, aside_rows FROM spool_states ORDER BY at DESC LIMIT 1")
_SILENT_SECONDS, _LATE_SECONDS = 120, 300
"""As the alerts `Shipper stopped` and `Spool age` have them."""


class Shipping(StrEnum):
    """How the log gets to PostgreSQL."""

    WELL = "well"
    LATE = "late"
    SILENT = "silent"


@dataclass(frozen=True)
class Backlog:
    """One report of the shipper.

    Args:
        at: when.
        rows: predictions and outcomes that wait.
        oldest_seconds: how long the oldest has waited; 0 if none waits.
        aside_rows: set aside, since PostgreSQL refused them.
    """

    at: datetime
    rows: int
    oldest_seconds: float
    aside_rows: int

    def shipping(self, now: datetime) -> Shipping:
        """How it stands at a moment."""
        if (now - self.at).total_seconds() > _SILENT_SECONDS:
            return Shipping.SILENT
        return Shipping.LATE if self.oldest_seconds > _LATE_SECONDS else Shipping.WELL


@dataclass(frozen=True)
class Recorded:
    """What PostgreSQL holds, the newest first.

    Args:
        live: the release that serves.
        previous: the release that a rollback brings back.
        lease: of production's traffic, while a replay has it.
        age: of the model that serves; None before monitoring has counted it.
        timeline: steps of the loop.
        verdicts: on the newest months, of all registered models.
        worths: what production's months earned.
        figures: months by registered model.
        backlog: None before the shipper's first report.
    """

    live: Release | None
    previous: Release | None
    lease: Lease | None
    age: ModelAge | None
    timeline: Sequence[TimelineEntry]
    verdicts: Sequence[PeriodAssessment]
    worths: Sequence[MonthWorth]
    figures: Mapping[str, MonthlyFigures]
    backlog: Backlog | None

    @property
    def verdict(self) -> PeriodAssessment | None:
        """The newest on the model that serves."""
        if self.live is None:
            return None
        return next((each for each in self.verdicts if each.model_id == self.live.model_id), None)


@dataclass(frozen=True)
class Snapshot:
    """What there is to see now; a part that could not be asked is None, and `faults` says why in a sentence each."""

    name: str
    contenders: Contenders | None
    records: Recorded | None
    faults: tuple[str, ...] = ()


def read_snapshot(settings: Settings) -> Snapshot:
    """As it stands now, whatever is away."""
    contenders, records, faults = None, None, []
    try:
        contenders = read_contenders(settings.mlflow)
    except DepositError as error:
        faults.append(str(error))
    try:
        records = read_records(settings.database, settings.economics, settings.expiry)
    except DepositError as error:
        faults.append(str(error))
    return Snapshot(settings.mlflow.model_name, contenders, records, tuple(faults))


def read_records(database: DatabaseSettings, economics: EconomicsSettings, expiry: ExpirySettings) -> Recorded:
    """What PostgreSQL holds. Raises ConfigError or UpstreamError."""
    with transaction(database) as connection:
        for statement in _READ_ONLY:
            connection.execute(text(statement))
        live = repository.live(connection)
        figures = read_figures(connection)
        return Recorded(
            live=live,
            previous=repository.previous(connection, live.model_id) if live else None,
            lease=leases.current(connection),
            age=age_of(figures, live.model_id, expiry.replace_after) if live else None,
            timeline=events.timeline(connection, _STEPS),
            verdicts=status.latest_assessments(connection, _VERDICTS),
            worths=latest_worths(connection, economics.capacity, _MONTHS),
            figures=by_registered_model(figures, economics.capacity),
            backlog=read_backlog(connection),
        )


def read_backlog(connection: Connection) -> Backlog | None:
    """The newest report; None before the first."""
    row = connection.execute(_NEWEST_STATE).mappings().first()
    return Backlog(**row) if row else None
