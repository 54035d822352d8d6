"""Status of a period by model, as stored in the table `metrics`; needs no numerical library."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import Connection, RowMapping, text

from deposit.database import transaction
from deposit.settings import Settings


class PeriodStatus(IntEnum):
    """Status of a period, by the action it requires: none, none yet, retraining, an alert (and no retraining on it)."""

    STABLE = 0
    DATA_DRIFT = 1
    PERFORMANCE_DEGRADED = 2
    DATA_QUALITY_FAILURE = 3

    @property
    def title(self) -> str:
        """Title for people."""
        return _TITLES[self]


_TITLES = {
    PeriodStatus.STABLE: "stable",
    PeriodStatus.DATA_DRIFT: "population shift",
    PeriodStatus.PERFORMANCE_DEGRADED: "decay",
    PeriodStatus.DATA_QUALITY_FAILURE: "data fault",
}
"""Titles in pages, commands and charts."""


class MonitoringRule(StrEnum):
    """The check behind a deviation."""

    INVALID_VALUES = "invalid_values"
    UNKNOWN_VALUES = "unknown_values"
    SINGLE_VALUE = "single_value"
    SINGLE_OUTCOME = "single_outcome"
    RANKING = "ranking"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class Deviation:
    """A value outside its tolerance: a data quality fault, or a degradation of the model.

    Args:
        rule: check that it failed.
        column: column of the data, or the name of the metric.
        observed: value in the period.
        expected: lowest and highest value in training.
        tolerance: allowed distance from these; for constant columns, the probability below which they are no
            coincidence.
        rows: number of predictions or outcomes that it is measured on.
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
"""Minimum number of faulty predictions: a handful of test requests says nothing about the rows of a month."""


@dataclass(frozen=True)
class PeriodAssessment:
    """The stored assessment of a model's period; `reported` if Evidently's report is stored."""

    period: str
    model_id: str
    status: PeriodStatus
    reason: str
    rows: int
    computed_at: datetime
    reported: bool


def latest_assessments(connection: Connection, most: int) -> list[PeriodAssessment]:
    """Assessments of the newest periods, newest first."""
    return [_assessment(row) for row in connection.execute(_NEWEST, {"most": most}).mappings()]


def assessments_of(connection: Connection, name: str, periods: Sequence[str]) -> list[PeriodAssessment]:
    """Assessments of the registered model `name` for some periods, oldest first."""
    values = {"periods": list(periods), "prefix": f"{name}-v"}
    return [_assessment(row) for row in connection.execute(_OF_PERIODS, values).mappings()]


def metrics_of(connection: Connection, period: str, model_id: str) -> dict[str, float]:
    """Metrics of a model's period by name, without those of single columns."""
    return dict(connection.execute(_METRICS, {"period": period, "model_id": model_id}).all())


def _assessment(row: RowMapping) -> PeriodAssessment:
    values = {**row, "status": PeriodStatus(int(row["status"])), "rows": int(row["rows"] or 0)}
    return PeriodAssessment(**values)


def faulty_periods(settings: Settings) -> list[str]:
    """Months in which the data sent to the models was faulty. Raises UpstreamError.

    Empty without a database, where nothing is monitored, or if the settings include such months in training.
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
    """Key of Evidently's report in the bucket of reports."""
    return f"monitoring/{period}/{model_id}.html"
