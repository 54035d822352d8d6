"""Histograms of a period's rows, counted by PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from sqlalchemy import Connection

from deposit.data.columns import CATEGORIES, FEATURES, NUMBERS, Category, Number
from deposit.model.reference import SCORE, ReferenceProfile

NUMBER_COLUMNS = {**NUMBERS, SCORE: Number(SCORE, 0.0, 1.0, False, "the model's score", 0.1)}
COLUMNS: tuple[Category | Number, ...] = (*FEATURES, NUMBER_COLUMNS[SCORE])
OUTSIDE = -1
"""Bin of values that the data contract does not allow."""
PER_E = 20
"""Latency bins per factor of e: each bin is 5 % wide."""
WINDOW = sql.SQL("model_id = %(model_id)s AND event_time >= %(start)s AND event_time < %(end)s")
_LATENCY = sql.SQL("floor(ln(greatest(latency_ms, 0.001)) * {})::integer").format(PER_E)
_COMBINATIONS = 10_000
"""Maximum combinations of bins in one pass: with more, the hash lookup of a row costs more than another pass."""
Bins = dict[int, int]


def histograms(connection: Connection, window: dict[str, Any], reference: ReferenceProfile) -> tuple[list[Bins], Bins]:
    """Rows by bin, for each of `COLUMNS` and for latency.

    Each pass counts several columns by the combination of their bins: with GROUPING SETS, PostgreSQL would look up each
    row once per column, on one core.
    """
    counts: dict[str, Bins] = {column.name: {} for column in COLUMNS}
    latency: Bins = {}
    groups = _groups(reference)
    for columns in groups:
        keys = [_key(column, reference) for column in columns]
        tallies = [counts[column.name] for column in columns]
        # categories are grouped by value
        places = [{label: place for place, label in enumerate(reference.columns[c.name].labels)} for c in columns]
        if columns is groups[-1]:
            keys, tallies, places = [*keys, _LATENCY], [*tallies, latency], [*places, {}]
        statement = sql.SQL("SELECT {keys}, count(*) FROM predictions WHERE {window} GROUP BY {numbers}").format(
            keys=sql.SQL(", ").join(keys),
            window=WINDOW,
            numbers=sql.SQL(", ").join(map(sql.Literal, range(1, len(keys) + 1))),
        )
        for *values, rows in fetch(connection, statement, window):
            for tally, value, known in zip(tallies, values, places, strict=True):
                place = known.get(value, OUTSIDE) if known else value
                tally[place] = tally.get(place, 0) + rows
    return list(counts.values()), latency


def totals(connection: Connection, window: dict[str, Any], bins: Sequence[Bins]) -> tuple[int, int, float, list[bool]]:
    """Number of rows, rows to be called, mean score, and for each of `COLUMNS` whether it is constant.

    Columns with rows in several bins cannot be constant, so only the others are queried.
    """
    alike = [column for column, counts in zip(COLUMNS, bins, strict=True) if len(counts) <= 1]
    single = [sql.SQL(", coalesce(min({0}) = max({0}), true)").format(identifier(column)) for column in alike]
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0){single} FROM predictions"
        " WHERE {window}"
    ).format(single=sql.SQL("").join(single), window=WINDOW)
    rows, called, mean, *same = next(iter(fetch(connection, statement, window)))
    constant = {column.name for column, is_same in zip(alike, same, strict=True) if is_same}
    return rows, called, mean, [column.name in constant for column in COLUMNS]


def fetch(connection: Connection, statement: sql.Composed, window: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Execute a statement composed of identifiers and literals, which SQLAlchemy's bound parameters cannot express."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, window)
    return list(cursor.fetchall())


def identifier(column: Category | Number) -> sql.Identifier:
    """Identifier of a column in the table `predictions`, where names have no dots."""
    return sql.Identifier(column.sql_name)


def _groups(reference: ReferenceProfile) -> list[list[Category | Number]]:
    """`COLUMNS` in groups with at most `_COMBINATIONS` combinations of bins each."""
    groups: list[list[Category | Number]] = []
    combinations = _COMBINATIONS
    for column in COLUMNS:
        bins = len(reference.columns[column.name].counts) + 1
        if combinations * bins > _COMBINATIONS:
            groups.append([])
            combinations = 1
        groups[-1].append(column)
        combinations *= bins
    return groups


def _key(column: Category | Number, reference: ReferenceProfile) -> sql.Composable:
    """Grouping key: the value of a category, since mapping it to its bin is slower, or the bin of a number."""
    if column.name in CATEGORIES:
        return identifier(column)
    limits, edges = NUMBER_COLUMNS[column.name], sql.Literal(list(reference.columns[column.name].edges))
    return sql.SQL(
        "CASE WHEN {name} BETWEEN {low} AND {high} THEN width_bucket({name}::float8, {edges}::float8[]) ELSE {out} END"
    ).format(name=identifier(column), low=limits.low, high=limits.high, edges=edges, out=OUTSIDE)
