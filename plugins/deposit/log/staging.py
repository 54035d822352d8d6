"""Idempotent inserts of outcomes and traffic, and the staging tables that inserts go through."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Cursor, sql

from deposit.log.entries import ReportedOutcomes, Traffic, from_epoch_us


class Staging:
    """A temporary table with some of the columns of a target table, emptied at every commit.

    Args:
        table: name of the target table.
        types: PostgreSQL type of each copied column by name, in the order of `COPY`. Listed here because the role
            `writer` may insert into the table but not read its definition.
        more: additional columns of the staging table, type by name.
    """

    def __init__(self, table: str, types: Mapping[str, str], more: Mapping[str, str] | None = None) -> None:
        self.table = table
        self.types = types
        columns = {**types, **(more or {})}
        self.name = sql.Identifier("pg_temp", f"staged_{table}")
        self.columns = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
        self._names = {
            "staging": self.name,
            "columns": self.columns,
            "definitions": sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns.items()
            ),
        }

    @property
    def create(self) -> sql.Composed:
        """The CREATE statement. Run it once per session: one per transaction would bloat PostgreSQL's catalog."""
        return self.sql("CREATE TEMPORARY TABLE {staging} ({definitions}) ON COMMIT DELETE ROWS")

    def sql(self, statement: str) -> sql.Composed:
        """Fill `{staging}` and `{columns}` into a statement."""
        return sql.SQL(statement).format(**self._names)


OUTCOMES = Staging(
    "outcomes",
    {
        "prediction_id": "UUID",
        "subscribed": "BOOLEAN",
        "at": "TIMESTAMP WITH TIME ZONE",
        "received_at": "TIMESTAMP WITH TIME ZONE",
        "client": "TEXT",
        "request_id": "TEXT",
    },
    more={"dated": "BOOLEAN", "place": "BIGINT"},
)
_INSERT_OUTCOMES = OUTCOMES.sql("""
INSERT INTO public.outcomes (prediction_id, subscribed, at, received_at, client, request_id)
SELECT prediction_id, subscribed, at, received_at, client, request_id
FROM (
    SELECT *, lag(subscribed) OVER (
        PARTITION BY prediction_id ORDER BY public.outcome_moment(at, received_at), fresh, place
    ) AS before
    FROM (
        SELECT DISTINCT ON (prediction_id, at, subscribed) *
        FROM (
            SELECT prediction_id, subscribed, at, received_at, client, request_id, dated, place, true AS fresh
            FROM {staging}
            UNION ALL
            SELECT prediction_id, subscribed, at, received_at, NULL, NULL, NULL, id, false
            FROM public.outcomes
            WHERE prediction_id IN (SELECT prediction_id FROM {staging} WHERE NOT dated)
        ) AS every
        ORDER BY prediction_id, at, subscribed, fresh, place
    ) AS statements
) AS followed
WHERE fresh AND (dated OR before IS DISTINCT FROM subscribed)
ORDER BY place
ON CONFLICT DO NOTHING
""")
"""Inserts reported outcomes and skips duplicates. An outcome with a time (`dated`) is a duplicate if one with the same
prediction, time and value is stored. An outcome without a time gets that of its receipt, and is a duplicate if it
repeats the preceding value. Outcomes of a prediction are ordered by `outcome_moment`."""

Row = tuple[Any, ...]


def outcome_rows(report: ReportedOutcomes) -> list[Row]:
    """Return the rows of a request, in the order of the staging columns without `place`."""
    received = from_epoch_us(report.received_at)
    return [
        (
            outcome.prediction_id,
            outcome.subscribed,
            received if outcome.at is None else from_epoch_us(outcome.at),
            received,
            report.client,
            report.request_id,
            outcome.at is not None,
        )
        for outcome in report.outcomes
    ]


def store_outcomes(cursor: Cursor[Any], rows: Sequence[Row]) -> None:
    """Insert the outcomes that are not duplicates, in the order of `rows`. Raises psycopg.Error."""
    with cursor.copy(OUTCOMES.sql("COPY {staging} ({columns}) FROM STDIN")) as copy:
        for place, row in enumerate(rows):
            copy.write_row((*row, place))
    cursor.execute(_INSERT_OUTCOMES)


_INSERT_TRAFFIC = """
INSERT INTO public.traffic
    (at, instance, route, status, client, model_id, requests, seconds, latency_upto, latency_count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


def traffic_rows(traffic: Traffic) -> list[Row]:
    """Return one row per count. Raises ValueError if a histogram has different numbers of edges and counts."""
    return [
        (
            from_epoch_us(traffic.at), traffic.instance, count.route, count.status, count.client, count.model_id,
            _requests(count.latency_upto, count.latency_count), count.seconds, count.latency_upto, count.latency_count,
        )
        for count in traffic.counts
    ]  # fmt: skip


def store_traffic(cursor: Cursor[Any], rows: Sequence[Row]) -> None:
    """Insert the rows that are not stored yet. Raises psycopg.Error."""
    cursor.executemany(_INSERT_TRAFFIC, rows)


def _requests(upto: list[float], count: list[int]) -> int:
    if len(upto) != len(count):
        raise ValueError(f"the latency histogram has {len(upto)} buckets and {len(count)} counts")
    return sum(count)
