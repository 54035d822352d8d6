"""The profile of a period: counts, from which all else is computed, whatever the number of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import Connection, text

from deposit.data.columns import CATEGORIES, FEATURES, NUMBERS, Category, Number
from deposit.data.period import Period
from deposit.model.artifact import Labels, Probabilities
from deposit.model.metrics import Values
from deposit.model.mixture import AGE_EDGES, FACTORS
from deposit.model.reference import SCORE, UNKNOWN, RateCube, ReferenceProfile


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
    """One model's predictions in a period; latencies are upper edges of histogram bins, in milliseconds.

    `scored_by_rates` are the known outcomes with the score that the table of rates would have given them, if the model
    keeps one.
    """

    rows: int
    called: int
    mean_probability: float
    latencies: Mapping[str, float]
    columns: Mapping[str, ColumnProfile]
    scored: BinnedOutcomes
    scored_by_rates: BinnedOutcomes | None


_NUMBERS = {**NUMBERS, SCORE: Number(SCORE, 0.0, 1.0, False, "the model's score", 0.1)}
_COLUMNS: tuple[Category | Number, ...] = (*FEATURES, _NUMBERS[SCORE])
_OUTSIDE = -1
_PER_E = 20
"""Bins of latency by which it grows e-fold: each is 5 % wide."""
_GROUPS = 2000
"""Steps of the score by which predictions are grouped."""
_DIGITS = 12
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_POUTCOMES, _CONTACTS = (CATEGORIES[name].allowed for name in FACTORS[:2])
_CELL = sql.SQL(
    "((array_position({poutcomes}::text[], poutcome) - 1) * {contacts_count}"
    " + array_position({contacts}::text[], contact) - 1) * {bands} + width_bucket(age::float8, {edges}::float8[])"
).format(
    poutcomes=list(_POUTCOMES),
    contacts=list(_CONTACTS),
    contacts_count=len(_CONTACTS),
    bands=len(AGE_EDGES) + 1,
    edges=list(AGE_EDGES),
)
"""Place of a row in a `RateCube`, cell by cell; NULL where the contract does not allow a value."""
_WINDOW = sql.SQL("model_id = %(model_id)s AND event_time >= %(start)s AND event_time < %(end)s")


def models_of(connection: Connection, span: Period, name: str) -> list[str]:
    """The versions of the registered model `name` that predicted in a period."""
    statement = text(
        "SELECT DISTINCT model_id FROM predictions WHERE event_time >= :start AND event_time < :end"
        " AND starts_with(model_id, :prefix) ORDER BY 1"
    )
    window = {"start": span.start, "end": span.end, "prefix": f"{name}-v"}
    return list(connection.scalars(statement, window))


def service_of(connection: Connection, span: Period) -> dict[str, float]:
    """Requests for predictions, the shares that were refused and that failed, and rows that ingest rejected."""
    statement = text(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(requests) FILTER (WHERE status BETWEEN 400 AND 499), 0),"
        " coalesce(sum(requests) FILTER (WHERE status >= 500), 0) FROM traffic"
        " WHERE route IN ('/predict', '/rank') AND at >= :start AND at < :end"
    )
    window = {"start": span.start, "end": span.end}
    requests, refused, failed = (float(value) for value in connection.execute(statement, window).one())
    rejected = text(
        "SELECT count(DISTINCT (source_sha256, line)) FROM rejects WHERE created_at >= :start AND created_at < :end"
    )
    metrics = {"ingest_rejected": float(connection.execute(rejected, window).scalar_one())}
    if requests:
        metrics |= {"requests": requests, "refused_share": refused / requests, "failed_share": failed / requests}
    return metrics


def profile_period(connection: Connection, span: Period, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
    """One model's period, counted in three passes over it."""
    window = {"model_id": model_id, "start": span.start, "end": span.end}
    bins, latency = _histograms(connection, window, reference)
    rows, called, mean, *constant = _totals(connection, window)
    scored, by_rates = _scored(connection, window, reference.rate_table)
    columns = {
        column.name: _column_profile(column, counts, single, reference)
        for column, counts, single in zip(_COLUMNS, bins, constant, strict=True)
    }
    return PeriodProfile(
        rows=rows,
        called=called,
        mean_probability=mean,
        latencies={name: _quantile(latency, share) for name, share in _QUANTILES.items()},
        columns=columns,
        scored=scored,
        scored_by_rates=by_rates,
    )


def _histograms(
    connection: Connection, window: dict[str, Any], reference: ReferenceProfile
) -> tuple[list[dict[int, int]], dict[int, int]]:
    """Rows by bin of each of `_COLUMNS`, and of latency; one pass, however many columns."""
    names = [sql.Identifier(f"b{number}") for number in range(len(_COLUMNS) + 1)]
    bins = [_bin(column, reference) for column in _COLUMNS]
    bins.append(sql.SQL("floor(ln(greatest(latency_ms, 0.001)) * {})::integer").format(_PER_E))
    columns = sql.SQL(", ").join(names)
    statement = sql.SQL(
        "SELECT GROUPING({columns}), coalesce({columns}), count(*)"
        " FROM (SELECT {bins} FROM predictions WHERE {window}) AS binned GROUP BY GROUPING SETS ({sets})"
    ).format(
        window=_WINDOW,
        columns=columns,
        bins=sql.SQL(", ").join(sql.SQL("{} AS {}").format(bin_, name) for bin_, name in zip(bins, names, strict=True)),
        sets=sql.SQL(", ").join(sql.SQL("({})").format(name) for name in names),
    )
    counts: list[dict[int, int]] = [{} for _ in names]
    for mask, number, count in _rows(connection, statement, window):
        # the bit of the one column that a row is grouped by is 0
        place = len(names) - 1 - (~mask & ((1 << len(names)) - 1)).bit_length() + 1
        counts[place][number] = count
    return counts[:-1], counts[-1]


def _bin(column: Category | Number, reference: ReferenceProfile) -> sql.Composable:
    identifier = _identifier(column)
    histogram = reference.columns[column.name]
    if column.name in CATEGORIES:
        labels = sql.Literal(list(histogram.labels))
        return sql.SQL("coalesce(array_position({}::text[], {}) - 1, {})").format(labels, identifier, _OUTSIDE)
    limits, edges = _NUMBERS[column.name], sql.Literal(list(histogram.edges))
    return sql.SQL(
        "CASE WHEN {name} BETWEEN {low} AND {high} THEN width_bucket({name}::float8, {edges}::float8[]) ELSE {out} END"
    ).format(name=identifier, low=limits.low, high=limits.high, edges=edges, out=_OUTSIDE)


def _totals(connection: Connection, window: dict[str, Any]) -> Sequence[Any]:
    """Rows, rows to be called, mean score, and of each of `_COLUMNS` whether all rows have one value."""
    single = sql.SQL(", ").join(
        sql.SQL("coalesce(min({name}) = max({name}), true)").format(name=_identifier(column)) for column in _COLUMNS
    )
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0), {single} FROM predictions"
        " WHERE {window}"
    ).format(single=single, window=_WINDOW)
    return next(iter(_rows(connection, statement, window)))


def _scored(
    connection: Connection, window: dict[str, Any], rate_table: RateCube | None
) -> tuple[BinnedOutcomes, BinnedOutcomes | None]:
    """Predictions whose outcome is known, each once: grouped by score, and by the cells of the table of rates.

    By the statement that `current_outcomes` shows; joined with that view, this would take twice the time.
    """
    statement = sql.SQL(
        "SELECT GROUPING(cell), subscribed::integer, avg(probability), count(*), cell FROM ("
        " SELECT DISTINCT ON (prediction_id) probability, subscribes, subscribed, cell"
        " FROM (SELECT prediction_id, probability, subscribes, {cell} AS cell FROM predictions WHERE {window}) AS asked"
        " JOIN outcomes USING (prediction_id) ORDER BY prediction_id, outcome_moment(at, received_at) DESC, id DESC"
        ") AS known GROUP BY GROUPING SETS"
        " ((subscribes, subscribed, floor(probability * {groups})::integer), (subscribed, cell)) ORDER BY 3, 2"
    ).format(groups=_GROUPS, window=_WINDOW, cell=_CELL)
    rows = _rows(connection, statement, window)
    scored = np.array([row[1:4] for row in rows if row[0]], dtype=np.float64).reshape(-1, 3)
    # means of one score may differ in their last bit, which must not rank one outcome above the other
    by_score = BinnedOutcomes(scored[:, 0].astype(np.int8), scored[:, 1].round(_DIGITS), scored[:, 2])
    if rate_table is None:
        return by_score, None
    cells = np.array([(row[1], row[3], row[4]) for row in rows if not row[0] and row[4] is not None], dtype=np.int64)
    labels, counts, places = cells.reshape(-1, 3).T
    return by_score, BinnedOutcomes(labels.astype(np.int8), np.ravel(rate_table)[places], counts.astype(np.float64))


def _rows(connection: Connection, statement: sql.Composed, window: dict[str, Any]) -> Sequence[Sequence[Any]]:
    """Of a statement of identifiers and literals, which bound parameters cannot carry."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, window)
    return list(cursor.fetchall())


def _column_profile(
    column: Category | Number, bins: dict[int, int], constant: Any, reference: ReferenceProfile
) -> ColumnProfile:
    histogram = reference.columns[column.name]
    counts = tuple(bins.get(number, 0) for number in range(len(histogram.counts)))
    unknown = counts[histogram.labels.index(UNKNOWN)] if UNKNOWN in histogram.labels else 0
    return ColumnProfile(counts, unknown, bins.get(_OUTSIDE, 0), bool(constant))


def _quantile(bins: dict[int, int], share: float) -> float:
    """Upper edge of the bin in which the quantile lies."""
    rank, below = share * sum(bins.values()), 0
    for number in sorted(bins):
        below += bins[number]
        if below >= rank:
            return exp((number + 1) / _PER_E)
    return 0.0


def _identifier(column: Category | Number) -> sql.Identifier:
    """The column of the table `predictions`, whose names have no dots."""
    return sql.Identifier(column.sql_name)
