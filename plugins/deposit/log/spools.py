"""The spools of all replicas: one file per replica in one folder, including files of replicas that no longer exist."""

import re
import time
from pathlib import Path
from typing import Any

import psycopg

from deposit.log.spool import Spool, SpoolState
from deposit.settings import Settings

_NAME = re.compile(r"spool(-\d+)?\.sqlite")
"""File name of a spool in use. A damaged file is renamed so that it no longer matches."""


class SpoolFolder:
    """The spools that one shipper empties. Every method raises SpoolError."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.log.spool_max_bytes, settings.log.reserve_bytes
        self._first = settings.state.spool_of(1)
        self._spools: dict[Path, Spool] = {}

    def spools(self) -> list[Spool]:
        """Return the spools that exist now, and always the first replica's. They stay open."""
        folder = self._first.parent
        names = {path.name for path in folder.glob("spool*.sqlite") if _NAME.fullmatch(path.name)} | {self._first.name}
        for name in sorted(names):
            path = folder / name
            if path not in self._spools:
                self._spools[path] = Spool(path, *self._limits)
        return list(self._spools.values())

    def restore(self) -> int:
        """Put all entries that were set aside back into the queue, and return their number."""
        return sum(spool.restore() for spool in self.spools())

    def state(self) -> SpoolState:
        """Return the combined state of all spools."""
        states = [spool.state() for spool in self.spools()]
        oldest = [state.oldest_at for state in states if state.oldest_at is not None]
        return SpoolState(
            entries=sum(state.entries for state in states),
            rows=sum(state.rows for state in states),
            oldest_at=min(oldest, default=None),
            shipped_rows=sum(state.shipped_rows for state in states),
            bytes=sum(state.bytes for state in states),
            aside_rows=sum(state.aside_rows for state in states),
        )

    def close(self) -> None:
        """Close the files; the next call opens them again."""
        for spool in self._spools.values():
            spool.close()


_INSERT = """
INSERT INTO public.spool_states (entries, rows, oldest_seconds, bytes, aside_rows, shipped_rows)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def store_state(connection: psycopg.Connection[Any], state: SpoolState) -> None:
    """Insert the state of the spools into the table `spool_states`. Raises psycopg.Error."""
    oldest = 0.0 if state.oldest_at is None else max(0.0, time.time() - state.oldest_at)
    connection.execute(_INSERT, [state.entries, state.rows, oldest, state.bytes, state.aside_rows, state.shipped_rows])
