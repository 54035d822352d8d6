"""A period's rows by bin of each column, as PostgreSQL counts them."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql
from sqlalchemy import Connection

from deposit.data.columns import CATEGORIES, FEATURES, NUMBERS, Category, Number
from deposit.model.reference import SCORE, ReferenceProfile

NUMBER_COLUMNS = {**NUMBERS, SCORE: Number(SCORE, 0.0, 1.0, False, "the model's score", 0.1)}
COLUMNS: tuple[Category | Number, ...] = (*FEATURES, NUMBER_COLUMNS[SCORE])
OUTSIDE = -1
PER_E = 20
"""Bins of latency by which it grows e-fold: each is 5 % wide."""
WINDOW = sql.SQL("model_id = %(model_id)s AND event_time >= %(start)s AND event_time < %(end)s")


def histograms(
    connection: Connection, window: dict[str, Any], reference: ReferenceProfile
) -> tuple[list[dict[int, int]], dict[int, int]]:
    """Rows by bin of each of `COLUMNS`, and of latency; one pass, however many columns."""
    names = [sql.Identifier(f"b{number}") for number in range(len(COLUMNS) + 1)]
    bins = [_bin(column, reference) for column in COLUMNS]
    bins.append(sql.SQL("floor(ln(greatest(latency_ms, 0.001)) * {})::integer").format(PER_E))
    columns = sql.SQL(", ").join(names)
    statement = sql.SQL(
        "SELECT GROUPING({columns}), coalesce({columns}), count(*)"
        " FROM (SELECT {bins} FROM predictions WHERE {window}) AS binned GROUP BY GROUPING SETS ({sets})"
    ).format(
        window=WINDOW,
        columns=columns,
        bins=sql.SQL(", ").join(sql.SQL("{} AS {}").format(bin_, name) for bin_, name in zip(bins, names, strict=True)),
        sets=sql.SQL(", ").join(sql.SQL("({})").format(name) for name in names),
    )
    counts: list[dict[int, int]] = [{} for _ in names]
    for mask, number, count in fetch(connection, statement, window):
        # the bit of the one column that a row is grouped by is 0
        place = len(names) - 1 - (~mask & ((1 << len(names)) - 1)).bit_length() + 1
        counts[place][number] = count
    return counts[:-1], counts[-1]


def _bin(column: Category | Number, reference: ReferenceProfile) -> sql.Composable:
    name = identifier(column)
    histogram = reference.columns[column.name]
    if column.name in CATEGORIES:
        labels = sql.Literal(list(histogram.labels))
        return sql.SQL("coalesce(array_position({}::text[], {}) - 1, {})").format(labels, name, OUTSIDE)
    limits, edges = NUMBER_COLUMNS[column.name], sql.Literal(list(histogram.edges))
    return sql.SQL(
        "CASE WHEN {name} BETWEEN {low} AND {high} THEN width_bucket({name}::float8, {edges}::float8[]) ELSE {out} END"
    ).format(name=name, low=limits.low, high=limits.high, edges=edges, out=OUTSIDE)


def totals(connection: Connection, window: dict[str, Any]) -> Sequence[Any]:
    """Rows, rows to be called, mean score, and of each of `COLUMNS` whether all rows have one value."""
    single = sql.SQL(", ").join(
        sql.SQL("coalesce(min({name}) = max({name}), true)").format(name=identifier(column)) for column in COLUMNS
    )
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0), {single} FROM predictions"
        " WHERE {window}"
    ).format(single=single, window=WINDOW)
    return next(iter(fetch(connection, statement, window)))


def fetch(connection: Connection, statement: sql.Composed, window: dict[str, Any]) -> Sequence[Sequence[Any]]:
    """Of a statement of identifiers and literals, which bound parameters cannot carry."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, window)
    return list(cursor.fetchall())


def identifier(column: Category | Number) -> sql.Identifier:
    """The column of the table `predictions`, whose names have no dots."""
    return sql.Identifier(column.sql_name)
