"""Profile of a period: counts that all metrics are computed from, whatever the number of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import Connection, text

from deposit.data.columns import CATEGORIES, Category, Number
from deposit.data.period import Period
from deposit.model.artifact import Labels, Probabilities
from deposit.model.metrics import Values
from deposit.model.mixture import AGE_EDGES, FACTORS
from deposit.model.reference import UNKNOWN, RateCube, ReferenceProfile
from deposit.monitoring.histograms import COLUMNS, OUTSIDE, PER_E, WINDOW, fetch, histograms, totals


@dataclass(frozen=True)
class ColumnProfile:
    """Counts of one column in a period.

    Args:
        counts: rows by bin of the reference histogram.
        unknown: rows with the value `unknown`.
        outside: rows with a missing value, or one that the data contract does not allow.
        constant: whether all rows have the same value.
    """

    counts: tuple[int, ...]
    unknown: int
    outside: int
    constant: bool


@dataclass(frozen=True, eq=False)
class BinnedOutcomes:
    """Predictions with known outcomes, grouped by decision, outcome and binned score; arrays of shape (groups,).

    Args:
        labels: outcome of the group, 1 for a subscription.
        probabilities: mean score of the group.
        rows: number of predictions in the group.
    """

    labels: Labels
    probabilities: Probabilities
    rows: Values


@dataclass(frozen=True, eq=False)
class PeriodProfile:
    """Profile of a model's predictions in a period; latencies are upper edges of histogram bins, in milliseconds.

    `scored_by_rates` are the known outcomes with the scores of the rate table, if the model stores one.
    """

    rows: int
    called: int
    mean_probability: float
    latencies: Mapping[str, float]
    columns: Mapping[str, ColumnProfile]
    scored: BinnedOutcomes
    scored_by_rates: BinnedOutcomes | None


GROUPS = 2000
"""Number of score bins for grouping predictions."""
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
"""Index of a row's cell in a flattened `RateCube`; NULL for values that the data contract does not allow."""

_NEXT = "SELECT min(model_id) FROM predictions WHERE event_time >= :start AND event_time < :end"
_MODELS = text(
    f"WITH RECURSIVE models (model_id) AS ({_NEXT} UNION ALL"  # noqa: S608 - our own text
    f" SELECT ({_NEXT} AND model_id > models.model_id) FROM models WHERE models.model_id IS NOT NULL)"
    " SELECT model_id FROM models WHERE starts_with(model_id, :prefix) ORDER BY 1"
)
"""Skips from one id to the next on the index `predictions_by_model`: DISTINCT would read all rows."""


def models_of(connection: Connection, span: Period, name: str) -> list[str]:
    """Versions of the registered model `name` that predicted in a period."""
    window = {"start": span.start, "end": span.end, "prefix": f"{name}-v"}
    return list(connection.scalars(_MODELS, window))


def service_of(connection: Connection, span: Period) -> dict[str, float]:
    """Requests for predictions, the shares rejected and failed, and the number of rows that ingest rejected."""
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
    """Profile of a model's predictions in a period, counted in a few passes."""
    window = {"model_id": model_id, "start": span.start, "end": span.end}
    bins, latency = histograms(connection, window, reference)
    by_score, by_cell = _scored(connection, window)
    return build_profile(totals(connection, window, bins), bins, latency, by_score, by_cell, reference)


Rows = Sequence[Sequence[Any]]


def build_profile(
    totals: tuple[int, int, float, Sequence[Any]],
    bins: Sequence[dict[int, int]],
    latency: dict[int, int],
    by_score: Rows,
    by_cell: Rows,
    reference: ReferenceProfile,
) -> PeriodProfile:
    """Build the profile from the counts of a database engine.

    Args:
        totals: number of rows, rows to be called, mean score, and for each of `COLUMNS` whether it is constant.
        bins: rows by bin, for each of `COLUMNS`.
        latency: rows by latency bin.
        by_score: outcome, mean score and number of rows of each group of `BinnedOutcomes`.
        by_cell: outcome, number of rows and rate-table cell, where outcomes are known.
        reference: reference profile of the model.
    """
    rows, called, mean, constant = totals
    columns = {
        column.name: _column_profile(column, counts, single, reference)
        for column, counts, single in zip(COLUMNS, bins, constant, strict=True)
    }
    return PeriodProfile(
        rows=rows,
        called=called,
        mean_probability=mean,
        latencies={name: _quantile(latency, share) for name, share in _QUANTILES.items()},
        columns=columns,
        scored=_by_score(by_score),
        scored_by_rates=None if reference.rate_table is None else _by_rates(by_cell, reference.rate_table),
    )


def _by_score(rows: Rows) -> BinnedOutcomes:
    labels, means, counts = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    # means of equal scores may differ in the last bit, which must not affect the ranking of outcomes
    means = means.round(_DIGITS)
    order = np.lexsort((counts, labels, means))
    return BinnedOutcomes(labels[order].astype(np.int8), means[order], counts[order])


def _by_rates(rows: Rows, rate_table: RateCube) -> BinnedOutcomes:
    cells = np.array(sorted((row[2], row[0], row[1]) for row in rows if row[2] is not None), dtype=np.int64)
    places, labels, counts = cells.reshape(-1, 3).T
    return BinnedOutcomes(labels.astype(np.int8), np.ravel(rate_table)[places], counts.astype(np.float64))


def _scored(connection: Connection, window: dict[str, Any]) -> tuple[Rows, Rows]:
    """Predictions with known outcomes, each once: by score and by cell, in the form that `build_profile` takes.

    Inlines the query of the view `current_outcomes`: joining the view would take twice as long.
    """
    statement = sql.SQL(
        "SELECT GROUPING(cell), subscribed::integer, avg(probability), count(*), cell FROM ("
        " SELECT DISTINCT ON (prediction_id) probability, subscribes, subscribed, cell"
        " FROM (SELECT prediction_id, probability, subscribes, {cell} AS cell FROM predictions WHERE {window}) AS asked"
        " JOIN outcomes USING (prediction_id) ORDER BY prediction_id, outcome_moment(at, received_at) DESC, id DESC"
        ") AS known GROUP BY GROUPING SETS"
        " ((subscribes, subscribed, floor(probability * {groups})::integer), (subscribed, cell)) ORDER BY 3, 2"
    ).format(groups=GROUPS, window=WINDOW, cell=_CELL)
    rows = fetch(connection, statement, window)
    return [row[1:4] for row in rows if row[0]], [(row[1], row[3], row[4]) for row in rows if not row[0]]


def _column_profile(
    column: Category | Number, bins: dict[int, int], constant: bool, reference: ReferenceProfile
) -> ColumnProfile:
    histogram = reference.columns[column.name]
    counts = tuple(bins.get(number, 0) for number in range(len(histogram.counts)))
    unknown = counts[histogram.labels.index(UNKNOWN)] if UNKNOWN in histogram.labels else 0
    return ColumnProfile(counts, unknown, bins.get(OUTSIDE, 0), bool(constant))


def _quantile(bins: dict[int, int], share: float) -> float:
    """Upper edge of the bin that contains the quantile."""
    rank, below = share * sum(bins.values()), 0
    for number in sorted(bins):
        below += bins[number]
        if below >= rank:
            return exp((number + 1) / PER_E)
    return 0.0
