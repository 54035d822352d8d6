"""A day of predictions in few numbers, computed alike by PostgreSQL and by DuckDB, each of the rows that it holds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from deposit.log.predictions import STAGING

if TYPE_CHECKING:
    import duckdb

COLUMN_TYPES = {**STAGING.types, "stored_at": "TIMESTAMP WITH TIME ZONE"}
"""Every column of `predictions`, by its type in PostgreSQL."""
MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = {
    "UUID": ("{}::text",) * 2,
    "TEXT": ("coalesce('=' || {}, '')",) * 2,
    "SMALLINT": ("{}::text",) * 2,
    "BOOLEAN": ("{}::text",) * 2,
    # to the last bit
    "DOUBLE PRECISION": ("encode(float8send({}), 'hex')", "lower(hex({}::BIT::BLOB))"),
    "REAL": ("encode(float4send({}), 'hex')", "lower(hex({}::BIT::BLOB))"),
    "TIMESTAMP WITH TIME ZONE": (f"{MICROSECONDS}::text", "epoch_us({})::text"),
}
"""A value as text, the same in PostgreSQL and in DuckDB, by the column's type."""


class DayDigest(msgspec.Struct, frozen=True, kw_only=True):
    """What a day's rows add up to.

    Args:
        day: YYYY-MM-DD.
        rows: how many.
        called: those that are to be called.
        probability: all scores, added up.
        content: the first 60 bits of each row's md5, added up: the same whatever the rows' order.
    """

    day: str
    rows: int
    called: int
    probability: float
    content: str

    def matches(self, other: "DayDigest") -> bool:
        """Whether both are of the same rows; sums of scores may differ by the order in which they were added."""
        same = (self.day, self.rows, self.called, self.content) == (other.day, other.rows, other.called, other.content)
        return same and abs(self.probability - other.probability) <= 1e-9 * max(1.0, self.probability)

    def __add__(self, other: "DayDigest") -> "DayDigest":
        """Of the rows of both, which must be of one day."""
        return DayDigest(
            day=self.day,
            rows=self.rows + other.rows,
            called=self.called + other.called,
            probability=self.probability + other.probability,
            content=str(int(self.content) + int(other.content)),
        )


def day_of(partition: str) -> str:
    """The day that a partition of `predictions` is named by.

    >>> day_of("predictions_20100517")
    '2010-05-17'
    """
    digits = partition.rpartition("_")[2]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def stored_day(connection: psycopg.Connection[Any], partition: str) -> tuple[DayDigest, int]:
    """A partition of `predictions`, and when the last of its rows was stored, µs since the epoch."""
    stored = "coalesce(extract(epoch FROM max(stored_at)) * 1000000, 0)::bigint"
    statement = sql.SQL(f"SELECT {_columns(0)}, {stored} FROM public.{{}}").format(sql.Identifier(partition))  # noqa: S608
    ((*values, until),) = connection.execute(statement)
    return _digest(day_of(partition), values), int(until)


def filed_days(engine: "duckdb.DuckDBPyConnection", path: Path) -> list[DayDigest]:
    """The days in a file of the archive."""
    statement = f"SELECT (epoch_us(event_time) // 86400000000)::INTEGER, {_columns(1)} FROM read_parquet(?) GROUP BY 1"  # noqa: S608
    return [
        _digest((_EPOCH + timedelta(days=day)).date().isoformat(), values)
        for day, *values in engine.execute(statement, [str(path)]).fetchall()
    ]


def _digest(day: str, values: Sequence[Any]) -> DayDigest:
    rows, called, probability, content = values
    return DayDigest(day=day, rows=rows, called=called, probability=probability, content=content)


def _columns(dialect: int) -> str:
    """What computes a digest but for its day; `dialect` is 0 for PostgreSQL, 1 for DuckDB."""
    row = ", ".join(_TEXTS[kind][dialect].format(f'"{name}"') for name, kind in COLUMN_TYPES.items())
    start = f"left(md5(concat_ws(chr(31), {row})), 15)"
    number = (f"('x' || {start})::bit(60)::bigint", f"('0x' || {start})::BIGINT")[dialect]
    return (
        "count(*), count(*) FILTER (WHERE subscribes), coalesce(sum(probability), 0)::float8,"
        f" coalesce(sum({number}), 0)::text"
    )
