"""What state a period is in, by model, and what the table `metrics` holds of it; needs no numerical library."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import Connection, RowMapping, text

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
"""As pages, commands and charts show them."""


class MonitoringRule(StrEnum):
    """What of a period is held against training."""

    INVALID_VALUES = "invalid_values"
    UNKNOWN_VALUES = "unknown_values"
    SINGLE_VALUE = "single_value"
    SINGLE_OUTCOME = "single_outcome"
    RANKING = "ranking"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class Deviation:
    """A figure that is further from training than it may be: a fault of the data, or a degradation of the model.

    Args:
        column: that of the data, or what else the figure is of.
        expected: lowest and highest value in training.
        tolerance: how far beyond these it may be; for single values, the chance below which they are no coincidence.
        rows: how many predictions or outcomes it is measured on.
    """

    rule: MonitoringRule
    column: str
    observed: float
    expected: tuple[float, float]
    tolerance: float
    rows: int


_STORED = """
SELECT verdict.period, verdict.scope AS model_id, verdict.value AS status, verdict.note AS reason,
       counted.value AS rows, verdict.computed_at, report.note IS NOT NULL AS reported
FROM metrics AS verdict
LEFT JOIN metrics AS counted
    ON (counted.period, counted.scope, counted.name, counted."column") = (verdict.period, verdict.scope, 'rows', '')
LEFT JOIN metrics AS report
    ON (report.period, report.scope, report.name, report."column") = (verdict.period, verdict.scope, 'report', '')
WHERE verdict.name = 'verdict' AND verdict."column" = ''
"""
_NEWEST = text(f"{_STORED} ORDER BY verdict.period DESC, verdict.scope LIMIT :most")
_OF_PERIODS = text(
    f"{_STORED} AND verdict.period = ANY(:periods) AND starts_with(verdict.scope, :prefix)"
    " ORDER BY verdict.period, verdict.scope"
)
_METRICS = text("""
SELECT name, value FROM metrics WHERE period = :period AND scope = :model_id AND "column" = ''
""")
_FAULTY = text("""
SELECT DISTINCT period FROM metrics AS verdict
JOIN metrics AS counted USING (period, scope, "column")
WHERE verdict.name = 'verdict' AND verdict.value = :fault AND "column" = '' AND starts_with(scope, :prefix)
  AND counted.name = 'rows' AND counted.value >= :enough AND length(period) = 7
ORDER BY period
""")
MIN_FAULTY_PREDICTIONS = 200
"""Predictions that must have been broken: a handful that somebody tried out says nothing of the month's rows."""


@dataclass(frozen=True)
class PeriodAssessment:
    """The stored assessment of one model's period; `reported` if Evidently's report of it is there."""

    period: str
    model_id: str
    status: PeriodStatus
    reason: str
    rows: int
    computed_at: datetime
    reported: bool


def latest_assessments(connection: Connection, most: int) -> list[PeriodAssessment]:
    """Those of the newest periods, the newest first."""
    return [_assessment(row) for row in connection.execute(_NEWEST, {"most": most}).mappings()]


def assessments_of(connection: Connection, name: str, periods: Sequence[str]) -> list[PeriodAssessment]:
    """Those of the registered model `name` in some periods, the oldest first."""
    values = {"periods": list(periods), "prefix": f"{name}-v"}
    return [_assessment(row) for row in connection.execute(_OF_PERIODS, values).mappings()]


def metrics_of(connection: Connection, period: str, model_id: str) -> dict[str, float]:
    """The metrics of one model's period by name, without those of single columns."""
    return dict(connection.execute(_METRICS, {"period": period, "model_id": model_id}).all())


def _assessment(row: RowMapping) -> PeriodAssessment:
    values = {**row, "status": PeriodStatus(int(row["status"])), "rows": int(row["rows"] or 0)}
    return PeriodAssessment(**values)


def faulty_periods(settings: Settings) -> list[str]:
    """Months in which what the models were sent was broken. Raises UpstreamError.

    None without a database, where nothing was monitored, or if the settings say so.
    """
    if settings.train.with_faults or settings.database.url is None:
        return []
    values = {
        "fault": PeriodStatus.DATA_QUALITY_FAILURE,
        "prefix": f"{settings.mlflow.model_name}-v",
        "enough": MIN_FAULTY_PREDICTIONS,
    }
    with transaction(settings.database) as connection:
        return list(connection.execute(_FAULTY, values).scalars())


def report_key(period: str, model_id: str) -> str:
    """Where in the bucket of reports Evidently's is."""
    return f"monitoring/{period}/{model_id}.html"
