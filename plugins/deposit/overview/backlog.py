"""What waits for PostgreSQL in the spool, as the shipper reported it last. Pure but for one query."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

_SELECT = text("SELECT at, rows, oldest_seconds, aside_rows FROM spool_states ORDER BY at DESC LIMIT 1")
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


def read_backlog(connection: Connection) -> Backlog | None:
    """The newest report; None before the first."""
    row = connection.execute(_SELECT).mappings().first()
    return Backlog(**row) if row else None
