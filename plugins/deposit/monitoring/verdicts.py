"""What monitoring has found: the verdicts in the table `metrics`. Needs no model library."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from deposit.database import transaction
from deposit.monitoring.kind import Kind
from deposit.settings import Settings

_NEWEST = text("""
SELECT verdict.period, verdict.scope AS model_id, verdict.value, verdict.note AS sentence, verdict.computed_at,
       counted.value AS rows, report.note IS NOT NULL AS reported
FROM metrics AS verdict
LEFT JOIN metrics AS counted
    ON (counted.period, counted.scope, counted.name, counted."column") = (verdict.period, verdict.scope, 'rows', '')
LEFT JOIN metrics AS report
    ON (report.period, report.scope, report.name, report."column") = (verdict.period, verdict.scope, 'report', '')
WHERE verdict.name = 'verdict' AND verdict."column" = ''
ORDER BY verdict.period DESC, verdict.scope
LIMIT :most
""")
_FAULTY = text("""
SELECT DISTINCT period FROM metrics AS verdict
JOIN metrics AS counted USING (period, scope, "column")
WHERE verdict.name = 'verdict' AND verdict.value = :fault AND "column" = '' AND starts_with(scope, :prefix)
  AND counted.name = 'rows' AND counted.value >= :enough AND length(period) = 7
ORDER BY period
""")
_ENOUGH = 200
"""Predictions that must have been broken: a handful that somebody tried out says nothing of the month's rows."""


@dataclass(frozen=True)
class Found:
    """The verdict on one model's period; `reported` if Evidently's report of it is there."""

    period: str
    model_id: str
    kind: Kind
    sentence: str
    rows: int
    computed_at: datetime
    reported: bool


def newest(connection: Connection, most: int) -> list[Found]:
    """The verdicts of the newest periods, the newest first."""
    rows = connection.execute(_NEWEST, {"most": most}).mappings()
    return [
        Found(
            row["period"], row["model_id"], Kind(int(row["value"])), row["sentence"],
            int(row["rows"] or 0), row["computed_at"], row["reported"],
        )
        for row in rows
    ]  # fmt: skip


def months_to_leave_out(settings: Settings) -> list[str]:
    """Months in which what the models were sent was broken, so that none learns from them. Raises UpstreamError.

    None without a database, where nothing was monitored, or if the settings say so.
    """
    if settings.train.with_faults or settings.database.url is None:
        return []
    given = {"fault": Kind.DATA_FAULT, "prefix": f"{settings.mlflow.model_name}-v", "enough": _ENOUGH}
    with transaction(settings.database) as connection:
        return list(connection.execute(_FAULTY, given).scalars())


def report_key(period: str, model_id: str) -> str:
    """Where in the bucket of reports Evidently's is."""
    return f"monitoring/{period}/{model_id}.html"
