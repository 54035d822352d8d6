"""The spools of all replicas: one file for each, in one folder; those of replicas that are gone are emptied as well."""

import re
import time
from pathlib import Path
from typing import Any

import psycopg

from deposit.log.spool import Spool, SpoolState
from deposit.settings import Settings

_NAME = re.compile(r"spool(-\d+)?\.sqlite")
"""Of a spool in use; what is put aside as damaged goes by another one."""


class SpoolFolder:
    """What one shipper empties. Everything raises SpoolError."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.log.spool_max_bytes, settings.log.reserve_bytes
        self._first = settings.state.spool_of(1)
        self._spools: dict[Path, Spool] = {}

    def spools(self) -> list[Spool]:
        """The spools that are there now, and the first replica's in any case; each stays open."""
        folder = self._first.parent
        names = {path.name for path in folder.glob("spool*.sqlite") if _NAME.fullmatch(path.name)} | {self._first.name}
        for name in sorted(names):
            path = folder / name
            if path not in self._spools:
                self._spools[path] = Spool(path, *self._limits)
        return list(self._spools.values())

    def restore(self) -> int:
        """Let everything that was set aside wait again; the number of entries."""
        return sum(spool.restore() for spool in self.spools())

    def state(self) -> SpoolState:
        """What they hold now, all together."""
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
        """Close the files; a later call opens them again."""
        for spool in self._spools.values():
            spool.close()


_INSERT = """
INSERT INTO public.spool_states (entries, rows, oldest_seconds, bytes, aside_rows, shipped_rows)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def store_state(connection: psycopg.Connection[Any], state: SpoolState) -> None:
    """Add what the spool holds now. Raises psycopg.Error."""
    oldest = 0.0 if state.oldest_at is None else max(0.0, time.time() - state.oldest_at)
    connection.execute(_INSERT, [state.entries, state.rows, oldest, state.bytes, state.aside_rows, state.shipped_rows])
