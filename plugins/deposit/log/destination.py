"""Where a service writes its log, as the settings say."""

from collections.abc import Sequence
from typing import Protocol

from deposit.log.entries import Entry
from deposit.log.spool import Spool, SpoolState
from deposit.settings import Settings


class PredictionLog(Protocol):
    """Takes what a service must not lose; any thread may call. Everything raises LogError."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in one transaction; on return they are safe."""

    def state(self) -> SpoolState:
        """What waits for PostgreSQL."""

    def close(self) -> None:
        """Close what is open; a later call opens it again."""


def prediction_log(settings: Settings) -> PredictionLog:
    """The log that `DEPOSIT_LOG__DESTINATION` names. Raises ConfigError if it lacks a setting."""
    if settings.log.destination == "spool":
        return Spool.of(settings)
    # a service with a spool does without psycopg
    from deposit.log.direct import DatabaseLog
    from deposit.log.writer import connector

    return DatabaseLog(connector(settings.database, settings.log.write_timeout))
