"""Monitor a period: count it, compare it with what each model was trained on, judge it, keep the figures."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from deposit.data.period import parse_period
from deposit.database import transaction
from deposit.errors import DataError
from deposit.model.artifact import ModelArtifact, load_reference
from deposit.model.evaluation import Economics
from deposit.model.reference import ReferenceProfile
from deposit.monitoring import metric_rows, profile, receipts
from deposit.monitoring.assessment import assess
from deposit.monitoring.metric_rows import MetricRow
from deposit.progress import Progress, log_progress
from deposit.registry import registry
from deposit.settings import Settings


@dataclass(frozen=True)
class ModelBaseline:
    """What is known of a model from its training: its reference, its threshold, its metrics out of time."""

    reference: ReferenceProfile
    threshold: float
    expected: dict[str, float]


@dataclass(frozen=True)
class MonitoredModel:
    """One model's period, in short."""

    model_id: str
    rows: int
    verdict: str
    sentence: str


@dataclass(frozen=True)
class MonitoredPeriod:
    """A period with the models that predicted in it; none if nothing was predicted."""

    period: str
    models: tuple[MonitoredModel, ...]


def monitor(settings: Settings, period: str, progress: Progress = log_progress) -> MonitoredPeriod:
    """Monitor a month or a day; a repeat replaces its figures.

    A model that is gone from the registry, or of which nothing is known there, is left out, with its figures as they
    are. Raises ConfigError (no period) or UpstreamError.
    """
    span = parse_period(period)
    money, name = Economics.of(settings.train), settings.mlflow.model_name
    with transaction(settings.database) as connection:
        # a repeat that runs beside this one waits, and then replaces
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('deposit.monitor'))")
        found = [MetricRow(metric_rows.SERVICE, *pair) for pair in profile.service_of(connection, span).items()]
        models, unknown = [], []
        for model_id in profile.models_of(connection, span, name):
            progress(f"{span.name}: counting what {model_id} predicted")
            try:
                known = _known(settings, model_id)
            except DataError as error:
                progress(f"{span.name}: {model_id} is left out, its figures stay as they are: {error}")
                unknown.append(model_id)
                continue
            observed = profile.profile_period(connection, span, model_id, known.reference)
            judgement = assess(observed, known.reference, known.threshold, known.expected, money)
            verdict = judgement.verdict
            found += metric_rows.to_metric_rows(model_id, observed, known.reference, judgement)
            models.append(MonitoredModel(model_id, observed.rows, verdict.kind.title, verdict.sentence))
            progress(f"{span.name}, {model_id}: {verdict.kind.title}. {verdict.sentence}")
        metric_rows.replace(connection, span.name, name, found, unknown)
        days = receipts.settled(span, datetime.now(UTC), settings.log.retention_days)
        counted = receipts.count(connection, days)
        metric_rows.replace_receipts(connection, days, counted, settings.monitor.max_unknown_share)
    return MonitoredPeriod(span.name, tuple(models))


def _known(settings: Settings, model_id: str) -> ModelBaseline:
    version = registry.by_id(settings, model_id)
    with TemporaryDirectory() as folder:
        files = registry.download(settings, version, Path(folder))
        artifact = ModelArtifact.load(files)
        return ModelBaseline(load_reference(files), artifact.threshold, dict(version.metrics))
