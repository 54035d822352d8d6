"""Monitor a period: profile it, compare it with each model's training, assess it, and store the metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from deposit.data.period import Period, month_number, parse_period
from deposit.database import transaction
from deposit.errors import DataError
from deposit.model.evaluation import Economics
from deposit.model.expiry import Expiry
from deposit.model.reference import ReferenceProfile
from deposit.monitoring import metric_rows, profile, receipts
from deposit.monitoring.assessment import Assessment, assess, describe
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.period_rows import PeriodRows, archived_until, period_rows
from deposit.monitoring.status import PeriodAssessment, assessments_of
from deposit.progress import Progress, log_progress
from deposit.sections import ExpirySettings, LogSettings, MonitorSettings
from deposit.settings import Settings

if TYPE_CHECKING:
    from deposit.registry.model_files import RegisteredModels


@dataclass(frozen=True)
class ModelBaseline:
    """What training recorded of a model: its reference profile, threshold, rolling-origin metrics and expiry."""

    reference: ReferenceProfile
    threshold: float
    expected: dict[str, float]
    expiry: Expiry


@dataclass(frozen=True)
class MonitoredPeriod:
    """A period with the assessments of its models; without any if nothing was predicted."""

    period: str
    models: tuple[PeriodAssessment, ...]


def monitor(
    settings: Settings,
    period: str,
    progress: Progress = log_progress,
    before: Callable[[PeriodRows, Sequence[str]], object] = lambda *_: None,
) -> MonitoredPeriod:
    """Monitor a month or a day; repeating it replaces the metrics.

    `before` is called with the rows and model ids before anything is counted. Models that are no longer in the registry
    are skipped and keep their metrics. Raises ConfigError (not a period) or UpstreamError.
    """
    span = parse_period(period)
    money, name = Economics.of(settings.economics), settings.mlflow.model_name
    money = money if span.is_month else replace(money, capacity=None)  # the capacity is per month
    with transaction(settings.database) as connection, period_rows(settings, connection, span) as predictions:
        # a concurrent run for any period waits here
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('deposit.monitor'))")
        rows = [MetricRow(metric_rows.SERVICE, *pair) for pair in profile.service_of(connection, span).items()]
        unknown = []
        registry = cache(partial(_registry, settings))  # one connection for all models
        model_ids = predictions.models_of(name)
        before(predictions, model_ids)
        for model_id in model_ids:
            progress(f"{span.name}: counting what {model_id} predicted")
            try:
                baseline = _baseline(settings.expiry, registry(), model_id)
            except DataError as error:
                progress(f"{span.name}: {model_id} is skipped and keeps its metrics: {error}")
                unknown.append(model_id)
                continue
            assessment, metrics = _profile_and_assess(predictions, model_id, baseline, money, month_number(span.start))
            rows += metrics
            progress(f"{span.name}, {model_id}: {assessment.status.title}. {describe(assessment)}")
        # stored even without predictions: overdue monitoring is detected by its absence
        rows.append(MetricRow(metric_rows.SERVICE, "models", len({row.scope for row in rows} - {metric_rows.SERVICE})))
        metric_rows.replace(connection, span.name, name, rows, unknown)
        _count_receipts(connection, settings.log, settings.monitor, span)
        stored = assessments_of(connection, name, [span.name])
    return MonitoredPeriod(span.name, tuple(each for each in stored if each.model_id not in unknown))


def _profile_and_assess(
    predictions: PeriodRows, model_id: str, baseline: ModelBaseline, money: Economics, month: int
) -> tuple[Assessment, list[MetricRow]]:
    """Profile and assess a model's predictions; returns the assessment and all metrics."""
    observed = predictions.profile(model_id, baseline.reference)
    assessment = assess(observed, baseline.reference, baseline.threshold, baseline.expected, money)
    rows = metric_rows.to_metric_rows(model_id, observed, baseline.reference, assessment)
    return assessment, [*rows, *metric_rows.age_rows(model_id, baseline.expiry, month)]


def _count_receipts(connection: Connection, log: LogSettings, monitor: MonitorSettings, span: Period) -> None:
    days = receipts.settled(span, datetime.now(UTC), log.retention_days, archived_until(connection))
    counted = receipts.count(connection, days)
    metric_rows.replace_receipts(connection, days, counted, monitor.max_unknown_share)


def _registry(settings: Settings) -> "RegisteredModels":
    # imports model libraries, which a period without predictions does not need
    from deposit.registry.model_files import RegisteredModels

    return RegisteredModels(settings)


def _baseline(expiry: ExpirySettings, registry: "RegisteredModels", model_id: str) -> ModelBaseline:
    from deposit.model.artifact import ModelArtifact, load_reference  # see above

    version = registry.by_id(model_id)
    with TemporaryDirectory() as folder:
        files = registry.download(version, Path(folder))
        artifact = ModelArtifact.load(files)
        own = Expiry.of(artifact.metadata, expiry)
        return ModelBaseline(load_reference(files), artifact.threshold, dict(version.metrics), own)
