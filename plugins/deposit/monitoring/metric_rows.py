"""Metrics of a period as rows of the table `metrics`, keyed by period, scope, name and column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from sqlalchemy import Connection, delete, insert, or_

from deposit.model.expiry import Expiry
from deposit.model.reference import Histogram, ReferenceProfile
from deposit.monitoring.assessment import Assessment, describe
from deposit.monitoring.performance import rate
from deposit.monitoring.profile import ColumnProfile, PeriodProfile
from deposit.monitoring.quality import shares
from deposit.monitoring.receipts import Days, Receipt
from deposit.tables import metrics

SERVICE = "service"
"""Scope of metrics across all models; every other scope is a model id."""
REPORT = "report"
"""Metric that counts the rows in a report's sample; its note is the report's URI."""
EVIDENTLY = "evidently_"
"""Name prefix of metrics computed by Evidently on a sample; all others are counted in SQL on all rows."""
_RECEIVED, _UNKNOWN, _LIMIT = "outcomes_received", "outcomes_unknown", "outcomes_unknown_limit"
"""Metrics by day and client, independent of the monitored period."""


@dataclass(frozen=True)
class MetricRow:
    """One metric; `column` is empty if it does not belong to a column."""

    scope: str
    name: str
    value: float
    column: str = ""
    note: str = ""


def to_metric_rows(
    model_id: str, observed: PeriodProfile, reference: ReferenceProfile, assessment: Assessment
) -> Iterator[MetricRow]:
    """All metrics of a model's period; the assessment is stored as its status, with its description as the note."""
    known = float(observed.scored.rows.sum())
    plain = {
        "rows": observed.rows,
        "called_share": observed.called / observed.rows,
        "mean_probability": observed.mean_probability,
        "outcomes_known_share": known / observed.rows,
        "rate": rate(observed.scored),
        **{f"latency_ms_{name}": value for name, value in observed.latencies.items()},
    }
    for name, value in plain.items():
        yield MetricRow(model_id, name, value)
    for column, counts in observed.columns.items():
        for name, value in shares(counts, observed.rows).items():
            yield MetricRow(model_id, f"{name}_share" if name != "constant" else name, value, column)
        drift = assessment.drifts[column]
        for name, value in {"psi": drift.psi, "js": drift.js, "moved": float(drift.drifted)}.items():
            yield MetricRow(model_id, name, value, column)
        yield from _histograms(model_id, column, reference.columns[column], counts)
    for name, metric in assessment.performance.items():
        for bound, value in {"": metric.value, "_low": metric.low, "_high": metric.high}.items():
            yield MetricRow(model_id, name + bound, value)
    yield MetricRow(model_id, "verdict", float(assessment.status), note=describe(assessment))


def age_rows(model_id: str, expiry: Expiry, month: int) -> tuple[MetricRow, MetricRow]:
    """Age of a model in a month, and the age beyond which it is stale."""
    return (
        MetricRow(model_id, "age_months", float(expiry.age(month))),
        MetricRow(model_id, "stale_after_months", float(expiry.stale_after)),
    )


def _histograms(model_id: str, column: str, histogram: Histogram, counts: ColumnProfile) -> Iterator[MetricRow]:
    """Share of each bin, in the period and in training; the note describes the bin."""
    for kind, numbers in (("current", counts.counts), ("reference", histogram.counts)):
        rows = max(1, sum(numbers))
        for place, (label, number) in enumerate(zip(histogram.bins, numbers, strict=True)):
            yield MetricRow(model_id, f"{kind}_{place:02d}", number / rows, column, label)


def replace_report(connection: Connection, period: str, model_id: str, rows: Sequence[MetricRow]) -> None:
    """Replace Evidently's metrics and the report of a model's period."""
    of_report = (metrics.c.name == REPORT) | metrics.c.name.startswith(EVIDENTLY, autoescape=True)
    connection.execute(delete(metrics).where(metrics.c.period == period, metrics.c.scope == model_id, of_report))
    _insert(connection, [{"period": period, **vars(row)} for row in rows if isfinite(row.value)])


def replace(connection: Connection, period: str, name: str, rows: list[MetricRow], kept: Sequence[str] = ()) -> None:
    """Replace the metrics of a period for the registered model `name`; values that are not finite are skipped.

    Metrics of the model ids in `kept` are not touched.
    """
    ours = or_(metrics.c.scope == SERVICE, metrics.c.scope.startswith(f"{name}-v", autoescape=True))
    not_of_days = metrics.c.name.not_in((_RECEIVED, _UNKNOWN, _LIMIT))
    connection.execute(
        delete(metrics).where(metrics.c.period == period, ours, metrics.c.scope.not_in(kept), not_of_days)
    )
    _insert(connection, [{"period": period, **vars(row)} for row in rows if isfinite(row.value)])


def replace_receipts(connection: Connection, days: Days, receipts: Sequence[Receipt], limit: float) -> None:
    """Replace the receipts of outcomes for some days; `limit` is the share of unknown predictions that is allowed."""
    first, end = days.first.isoformat(), days.end.isoformat()
    of_days = metrics.c.name.in_((_RECEIVED, _UNKNOWN, _LIMIT))
    within = (metrics.c.period >= first) & (metrics.c.period < end)
    connection.execute(delete(metrics).where(metrics.c.scope == SERVICE, of_days, within))
    rows = [
        {"period": each.day.isoformat(), **vars(MetricRow(SERVICE, name, value, each.client))}
        for each in receipts
        for name, value in ((_RECEIVED, each.received), (_UNKNOWN, each.unknown), (_LIMIT, limit))
    ]
    _insert(connection, rows)


def _insert(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        connection.execute(insert(metrics), rows)
