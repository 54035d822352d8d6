"""What state a period is in, by model, and what the table `metrics` says of it; needs no numerical library."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from sqlalchemy import Connection, text

from deposit.database import transaction
from deposit.settings import Settings


class PeriodStatus(IntEnum):
    """What is to be done: nothing; nothing yet; retrain; call somebody, and do not retrain on it."""

    STABLE = 0
    DATA_DRIFT = 1
    PERFORMANCE_DEGRADED = 2
    DATA_QUALITY_FAILURE = 3

    @property
    def title(self) -> str:
        """In words."""
        return _TITLES[self]


_TITLES = {
    PeriodStatus.STABLE: "stable",
    PeriodStatus.DATA_DRIFT: "population shift",
    PeriodStatus.PERFORMANCE_DEGRADED: "decay",
    PeriodStatus.DATA_QUALITY_FAILURE: "data fault",
}
"""As the table `metrics` holds them."""


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
class PeriodAssessment:
    """The verdict on one model's period; `reported` if Evidently's report of it is there."""

    period: str
    model_id: str
    kind: PeriodStatus
    sentence: str
    rows: int
    computed_at: datetime
    reported: bool


def latest_assessments(connection: Connection, most: int) -> list[PeriodAssessment]:
    """The verdicts of the newest periods, the newest first."""
    rows = connection.execute(_NEWEST, {"most": most}).mappings()
    return [
        PeriodAssessment(
            row["period"], row["model_id"], PeriodStatus(int(row["value"])), row["sentence"],
            int(row["rows"] or 0), row["computed_at"], row["reported"],
        )
        for row in rows
    ]  # fmt: skip


def periods_to_exclude(settings: Settings) -> list[str]:
    """Months in which what the models were sent was broken, so that none learns from them. Raises UpstreamError.

    None without a database, where nothing was monitored, or if the settings say so.
    """
    if settings.train.with_faults or settings.database.url is None:
        return []
    given = {"fault": PeriodStatus.DATA_QUALITY_FAILURE, "prefix": f"{settings.mlflow.model_name}-v", "enough": _ENOUGH}
    with transaction(settings.database) as connection:
        return list(connection.execute(_FAULTY, given).scalars())


def report_key(period: str, model_id: str) -> str:
    """Where in the bucket of reports Evidently's is."""
    return f"monitoring/{period}/{model_id}.html"
