"""Order-independent digests of a day of predictions, computed identically in PostgreSQL and in DuckDB."""

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
"""PostgreSQL type of every column of `predictions`."""
MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = {
    "UUID": ("{}::text",) * 2,
    "TEXT": ("coalesce('=' || {}, '')",) * 2,
    "SMALLINT": ("{}::text",) * 2,
    "BOOLEAN": ("{}::text",) * 2,
    # all bits of a float
    "DOUBLE PRECISION": ("encode(float8send({}), 'hex')", "lower(hex({}::BIT::BLOB))"),
    "REAL": ("encode(float4send({}), 'hex')", "lower(hex({}::BIT::BLOB))"),
    "TIMESTAMP WITH TIME ZONE": (f"{MICROSECONDS}::text", "epoch_us({})::text"),
}
"""Expressions that convert a value to text, identical in PostgreSQL (first) and DuckDB (second), by column type."""


class DayDigest(msgspec.Struct, frozen=True, kw_only=True):
    """Digest of the rows of one day.

    Args:
        day: YYYY-MM-DD.
        rows: number of rows.
        called: number of rows with `subscribes`.
        probability: sum of all probabilities.
        content: sum of the first 60 bits of the MD5 of each row, so it does not depend on their order.
    """

    day: str
    rows: int
    called: int
    probability: float
    content: str

    def matches(self, other: "DayDigest") -> bool:
        """Whether both digests are of the same rows. The sum of probabilities may differ by rounding."""
        same = (self.day, self.rows, self.called, self.content) == (other.day, other.rows, other.called, other.content)
        return same and abs(self.probability - other.probability) <= 1e-9 * max(1.0, self.probability)

    def __add__(self, other: "DayDigest") -> "DayDigest":
        """Return the digest of both sets of rows, which must be of the same day."""
        return DayDigest(
            day=self.day,
            rows=self.rows + other.rows,
            called=self.called + other.called,
            probability=self.probability + other.probability,
            content=str(int(self.content) + int(other.content)),
        )


def day_of(partition: str) -> str:
    """Return the day of a partition of `predictions`, from its name.

    >>> day_of("predictions_20100517")
    '2010-05-17'
    """
    digits = partition.rpartition("_")[2]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"


def stored_day(connection: psycopg.Connection[Any], partition: str) -> tuple[DayDigest, int]:
    """Return the digest of a partition of `predictions`, and its newest `stored_at` in µs since the epoch."""
    stored = "coalesce(extract(epoch FROM max(stored_at)) * 1000000, 0)::bigint"
    statement = sql.SQL(f"SELECT {_columns(0)}, {stored} FROM public.{{}}").format(sql.Identifier(partition))  # noqa: S608
    ((*values, until),) = connection.execute(statement)
    return _digest(day_of(partition), values), int(until)


def filed_days(engine: "duckdb.DuckDBPyConnection", path: Path) -> list[DayDigest]:
    """Return the digest of each day in a Parquet file of the archive."""
    statement = f"SELECT (epoch_us(event_time) // 86400000000)::INTEGER, {_columns(1)} FROM read_parquet(?) GROUP BY 1"  # noqa: S608
    return [
        _digest((_EPOCH + timedelta(days=day)).date().isoformat(), values)
        for day, *values in engine.execute(statement, [str(path)]).fetchall()
    ]


def _digest(day: str, values: Sequence[Any]) -> DayDigest:
    rows, called, probability, content = values
    return DayDigest(day=day, rows=rows, called=called, probability=probability, content=content)


def _columns(dialect: int) -> str:
    """Return the SELECT list that computes a digest without its day; `dialect` is 0 for PostgreSQL, 1 for DuckDB."""
    row = ", ".join(_TEXTS[kind][dialect].format(f'"{name}"') for name, kind in COLUMN_TYPES.items())
    start = f"left(md5(concat_ws(chr(31), {row})), 15)"
    number = (f"('x' || {start})::bit(60)::bigint", f"('0x' || {start})::BIGINT")[dialect]
    return (
        "count(*), count(*) FILTER (WHERE subscribes), coalesce(sum(probability), 0)::float8,"
        f" coalesce(sum({number}), 0)::text"
    )
