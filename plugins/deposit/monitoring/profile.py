"""What a period held, as counts: all that verdicts are made from, whatever the number of rows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import Connection, text

from deposit.data.columns import FEATURES, Category, Number
from deposit.data.period import Period
from deposit.model.artifact import Labels, Probabilities
from deposit.model.metrics import Values
from deposit.model.reference import SCORE, UNKNOWN, ReferenceProfile


@dataclass(frozen=True)
class ColumnProfile:
    """One column in a period.

    Args:
        counts: rows by bin of the reference's histogram.
        unknown: rows that say `unknown`.
        outside: rows with a value that the contract does not allow, or none.
        constant: whether all rows have one value.
    """

    counts: tuple[int, ...]
    unknown: int
    outside: int
    constant: bool


@dataclass(frozen=True, eq=False)
class BinnedOutcomes:
    """Predictions whose outcome is known, in groups of one decision and nearly one score; arrays of shape (groups,).

    Args:
        labels: 1 where the group subscribed.
        probabilities: mean score of the group.
        rows: how many predictions it holds.
    """

    labels: Labels
    probabilities: Probabilities
    rows: Values


@dataclass(frozen=True, eq=False)
class PeriodProfile:
    """One model's predictions in a period; latencies are upper edges of histogram bins, in milliseconds."""

    rows: int
    called: int
    mean_probability: float
    latencies: Mapping[str, float]
    columns: Mapping[str, ColumnProfile]
    scored: BinnedOutcomes


_COLUMNS: tuple[Category | Number, ...] = (*FEATURES, Number(SCORE, 0.0, 1.0, False, "the model's score"))
_OUTSIDE = -1
_PER_E = 20
"""Bins of latency by which it grows e-fold: each is 5 % wide."""
_GROUPS = 2000
"""Steps of the score within which predictions are told apart."""
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_WINDOW = sql.SQL("model_id = %(model_id)s AND event_time >= %(start)s AND event_time < %(end)s")


def models_of(connection: Connection, span: Period, name: str) -> list[str]:
    """The versions of the registered model `name` that predicted in a period."""
    statement = text(
        "SELECT DISTINCT model_id FROM predictions WHERE event_time >= :start AND event_time < :end"
        " AND starts_with(model_id, :prefix) ORDER BY 1"
    )
    given = {"start": span.start, "end": span.end, "prefix": f"{name}-v"}
    return list(connection.scalars(statement, given))


def service_of(connection: Connection, span: Period) -> dict[str, float]:
    """Requests for predictions, the shares that were refused and that failed, and rows that ingest rejected."""
    statement = text(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(requests) FILTER (WHERE status BETWEEN 400 AND 499), 0),"
        " coalesce(sum(requests) FILTER (WHERE status >= 500), 0) FROM traffic"
        " WHERE route IN ('/predict', '/rank') AND at >= :start AND at < :end"
    )
    given = {"start": span.start, "end": span.end}
    requests, refused, failed = (float(value) for value in connection.execute(statement, given).one())
    rejected = text("SELECT count(*) FROM rejects WHERE created_at >= :start AND created_at < :end")
    figures = {"ingest_rejected": float(connection.execute(rejected, given).scalar_one())}
    if requests:
        figures |= {"requests": requests, "refused_share": refused / requests, "failed_share": failed / requests}
    return figures


def profile_period(connection: Connection, span: Period, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
    """One model's period, counted in three passes over it."""
    given = {"model_id": model_id, "start": span.start, "end": span.end}
    bins, latency = _histograms(connection, given, reference)
    rows, called, mean, *constant = _totals(connection, given)
    columns = {
        column.name: _column_counts(column, found, single, reference)
        for column, found, single in zip(_COLUMNS, bins, constant, strict=True)
    }
    return PeriodProfile(
        rows=rows,
        called=called,
        mean_probability=mean,
        latencies={name: _quantile(latency, share) for name, share in _QUANTILES.items()},
        columns=columns,
        scored=_scored(connection, given),
    )


def _histograms(
    connection: Connection, given: dict[str, Any], reference: ReferenceProfile
) -> tuple[list[dict[int, int]], dict[int, int]]:
    """Rows by bin of each of `_COLUMNS`, and of latency; one pass, however many columns."""
    names = [sql.Identifier(f"b{number}") for number in range(len(_COLUMNS) + 1)]
    bins = [_bin(column, reference) for column in _COLUMNS]
    bins.append(sql.SQL("floor(ln(greatest(latency_ms, 0.001)) * {})::integer").format(_PER_E))
    listed = sql.SQL(", ").join(names)
    statement = sql.SQL(
        "SELECT GROUPING({listed}), coalesce({listed}), count(*)"
        " FROM (SELECT {bins} FROM predictions WHERE {window}) AS binned GROUP BY GROUPING SETS ({sets})"
    ).format(
        window=_WINDOW,
        listed=listed,
        bins=sql.SQL(", ").join(sql.SQL("{} AS {}").format(bin_, name) for bin_, name in zip(bins, names, strict=True)),
        sets=sql.SQL(", ").join(sql.SQL("({})").format(name) for name in names),
    )
    found: list[dict[int, int]] = [{} for _ in names]
    for mask, number, count in _rows(connection, statement, given):
        # the bit of the one column that a row is grouped by is 0
        place = len(names) - 1 - (~mask & ((1 << len(names)) - 1)).bit_length() + 1
        found[place][number] = count
    return found[:-1], found[-1]


def _bin(column: Category | Number, reference: ReferenceProfile) -> sql.Composable:
    identifier = _identifier(column)
    histogram = reference.columns[column.name]
    if isinstance(column, Category):
        labels = sql.Literal(list(histogram.labels))
        return sql.SQL("coalesce(array_position({}::text[], {}) - 1, {})").format(labels, identifier, _OUTSIDE)
    edges = sql.Literal(list(histogram.edges))
    return sql.SQL(
        "CASE WHEN {name} BETWEEN {low} AND {high} THEN width_bucket({name}::float8, {edges}::float8[]) ELSE {out} END"
    ).format(name=identifier, low=column.low, high=column.high, edges=edges, out=_OUTSIDE)


def _totals(connection: Connection, given: dict[str, Any]) -> Sequence[Any]:
    """Rows, rows to be called, mean score, and of each of `_COLUMNS` whether all rows have one value."""
    single = sql.SQL(", ").join(
        sql.SQL("coalesce(min({name}) = max({name}), true)").format(name=_identifier(column)) for column in _COLUMNS
    )
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0), {single} FROM predictions"
        " WHERE {window}"
    ).format(single=single, window=_WINDOW)
    return next(iter(_rows(connection, statement, given)))


def _scored(connection: Connection, given: dict[str, Any]) -> BinnedOutcomes:
    """Predictions whose outcome is known, each once.

    By the statement that `current_outcomes` shows; joined with that view, this would take twice the time.
    """
    statement = sql.SQL(
        "SELECT subscribed::integer, avg(probability), count(*) FROM ("
        " SELECT DISTINCT ON (prediction_id) probability, subscribes, subscribed"
        " FROM (SELECT prediction_id, probability, subscribes FROM predictions WHERE {window}) AS asked"
        " JOIN outcomes USING (prediction_id) ORDER BY prediction_id, outcome_moment(at, received_at) DESC, id DESC"
        ") AS known GROUP BY subscribes, subscribed, floor(probability * {groups})::integer"
        " ORDER BY 2, 1"
    ).format(groups=_GROUPS, window=_WINDOW)
    found = np.array(list(_rows(connection, statement, given)), dtype=np.float64).reshape(-1, 3)
    return BinnedOutcomes(found[:, 0].astype(np.int8), found[:, 1], found[:, 2])


def _rows(connection: Connection, statement: sql.Composed, given: dict[str, Any]) -> Sequence[Sequence[Any]]:
    """Of a statement of identifiers and literals, which bound parameters cannot carry."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, given)
    return list(cursor.fetchall())


def _column_counts(
    column: Category | Number, found: dict[int, int], constant: Any, reference: ReferenceProfile
) -> ColumnProfile:
    histogram = reference.columns[column.name]
    counts = tuple(found.get(number, 0) for number in range(len(histogram.counts)))
    unknown = counts[histogram.labels.index(UNKNOWN)] if UNKNOWN in histogram.labels else 0
    return ColumnProfile(counts, unknown, found.get(_OUTSIDE, 0), bool(constant))


def _quantile(bins: dict[int, int], share: float) -> float:
    """Upper edge of the bin in which the quantile lies."""
    wanted, seen = share * sum(bins.values()), 0
    for number in sorted(bins):
        seen += bins[number]
        if seen >= wanted:
            return exp((number + 1) / _PER_E)
    return 0.0


def _identifier(column: Category | Number) -> sql.Identifier:
    """The column of the table `predictions`, whose names have no dots."""
    return sql.Identifier(column.name.replace(".", "_"))
