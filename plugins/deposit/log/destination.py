"""Selects where a service writes its prediction log: a spool on disk, or PostgreSQL directly."""

from collections.abc import Sequence
from typing import Protocol

from deposit.log.entries import Entry
from deposit.log.spool import Spool, SpoolState
from deposit.settings import Settings


class PredictionLog(Protocol):
    """Durable store for the entries of a service. Thread-safe; every method raises LogError."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in one transaction; they are durable on return."""

    def state(self) -> SpoolState:
        """Return the number and age of the entries that are not in PostgreSQL yet."""

    def close(self) -> None:
        """Close the file or connection; the next call opens it again."""


def prediction_log(settings: Settings) -> PredictionLog:
    """Return the log selected by `DEPOSIT_LOG__DESTINATION`. Raises ConfigError if a setting is missing."""
    if settings.log.destination == "spool":
        return Spool.of(settings)
    # imported here: a service with a spool does not need psycopg
    from deposit.log.direct import DatabaseLog
    from deposit.log.writer import connector

    return DatabaseLog(connector(settings.database, settings.log.write_timeout))
