"""The spool's figures in PostgreSQL: whoever reads only that sees a spool that grows, or a shipper that stopped."""

import time
from typing import Any

import psycopg

from deposit.monitoring.spool import SpoolState

_INSERT = """
INSERT INTO public.spool_states (entries, rows, oldest_seconds, bytes, aside_rows, shipped_rows)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def store(connection: psycopg.Connection[Any], state: SpoolState) -> None:
    """Add what the spool holds now. Raises psycopg.Error."""
    oldest = 0.0 if state.oldest_at is None else max(0.0, time.time() - state.oldest_at)
    connection.execute(_INSERT, [state.entries, state.rows, oldest, state.bytes, state.aside_rows, state.shipped_rows])
