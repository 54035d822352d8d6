"""Reads everything that the page shows: first from MLflow, then from PostgreSQL in one read-only transaction."""

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
"""The limits of the alerts `Shipper stopped` and `Spool age`."""


class Shipping(StrEnum):
    """State of the shipper."""

    WELL = "well"
    LATE = "late"
    SILENT = "silent"


@dataclass(frozen=True)
class Backlog:
    """One report of the shipper.

    Args:
        at: time of the report.
        rows: number of predictions and outcomes that wait.
        oldest_seconds: age of the oldest; 0 if none waits.
        aside_rows: number of rows set aside, because they could not be stored.
    """

    at: datetime
    rows: int
    oldest_seconds: float
    aside_rows: int

    def shipping(self, now: datetime) -> Shipping:
        """Return the state of the shipper at a time."""
        if (now - self.at).total_seconds() > _SILENT_SECONDS:
            return Shipping.SILENT
        return Shipping.LATE if self.oldest_seconds > _LATE_SECONDS else Shipping.WELL


@dataclass(frozen=True)
class Recorded:
    """The content of the page from PostgreSQL; lists are ordered newest first.

    Args:
        live: live release, if there is one.
        previous: release that a rollback would restore.
        lease: open lease, while a replay has production's traffic.
        age: age of the live model; None until it is monitored.
        timeline: releases and events.
        verdicts: assessments of the newest months of all registered models.
        worths: profits of the newest months.
        figures: monthly curves by registered model.
        backlog: newest report of the shipper; None before the first.
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
        """The newest assessment of the live model."""
        if self.live is None:
            return None
        return next((each for each in self.verdicts if each.model_id == self.live.model_id), None)


@dataclass(frozen=True)
class Snapshot:
    """The content of the page. If MLflow or PostgreSQL is down, its part is None and `faults` has the error message."""

    name: str
    contenders: Contenders | None
    records: Recorded | None
    faults: tuple[str, ...] = ()


def read_snapshot(settings: Settings) -> Snapshot:
    """Read the current content of the page, as far as MLflow and PostgreSQL are available."""
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
    """Read the content of the page from PostgreSQL. Raises ConfigError or UpstreamError."""
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
    """Read the newest report of the shipper; None before the first."""
    row = connection.execute(_NEWEST_STATE).mappings().first()
    return Backlog(**row) if row else None
