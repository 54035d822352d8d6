"""The loop: train, compare the challenger with the champion, request releases, request retrainings after decay."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any

from deposit import events
from deposit.data import dataset as datasets
from deposit.database import transaction
from deposit.events import Event, EventKind
from deposit.monitoring import status
from deposit.monitoring.ingested import check_ingested, describe_ingested
from deposit.monitoring.status import PeriodAssessment, PeriodStatus
from deposit.progress import Progress, log_progress
from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import RunRole
from deposit.release import repository, requests
from deposit.release.repository import Release
from deposit.sections import DatabaseSettings, MonitorSettings
from deposit.selection import fallback, selection
from deposit.selection.backtest import Evaluation, evaluate_dataset
from deposit.selection.decision import Criterion
from deposit.selection.selection import Selection
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history, training
from deposit.training.profiling import profile_reference
from deposit.training.training import TrainingResult

_METRICS = ("rows", "outcomes_known_share", "roc_auc", "ece")
"""Metrics of the period that a retraining event keeps: the next night's monitoring replaces them."""


def train(settings: Settings, dataset: str | None = None, progress: Progress = log_progress) -> TrainingResult:
    """Train on a dataset version without the months whose data is broken. Raises as `training.train` does."""
    return training.train(settings, *trusted_rows(settings, dataset, progress), progress)


def evaluate(settings: Settings, dataset: str | None = None, progress: Progress = log_progress) -> Evaluation:
    """Backtest the refit policy and the recipes, without those months. Raises as `evaluate_dataset` does."""
    return evaluate_dataset(settings, *trusted_rows(settings, dataset, progress), progress)


def trusted_rows(
    settings: Settings, dataset: str | None = None, progress: Progress = log_progress
) -> tuple[str, list[str]]:
    """A dataset version, by default the one ingested last, and its months to exclude from training.

    Those are the months in which the requests to the models were broken, unless the ingested rows of the month are
    good. Raises SourceError if there is no such version, IntegrityError or UpstreamError.
    """
    suspects = status.faulty_periods(settings)
    version = dataset or history.newest_dataset(settings.store).version
    if not suspects:
        return version, []
    months = check_ingested(datasets.load(ObjectStore(settings.store).data, version), suspects, profile_reference)
    for month in months:
        progress(describe_ingested(month))
    return version, [month.period for month in months if not month.is_good]


def challenge(settings: Settings, training_run: str | None = None, progress: Progress = log_progress) -> Selection:
    """Compare the challenger of a training run with the champion, and record an event if it is rejected.

    Raises as `select` does.
    """
    too_old = fallback.refuse_expired(settings, ModelRegistry(settings), training_run, progress)
    selected = too_old or selection.select(settings, training_run, progress)
    if not selected.is_champion:
        record_rejection(settings.database, selected)
    return selected


def replace_expired(
    settings: Settings, month: str, dataset: str | None = None, progress: Progress = log_progress
) -> Selection | None:
    """Promote the rate table if the champion is too old for a month (YYYY-MM); None if nothing is due.

    The table is fitted on a dataset version, by default the one ingested last, and refitted on each version with newer
    labels until another model passes the gate. Raises as `training.train` and `select` do.
    """
    models = ModelRegistry(settings)
    champion = fallback.champion_age(models, settings.expiry)
    if champion is None or not (champion.is_fallback or champion.is_expired(month)):
        return None
    version, excluded = trusted_rows(settings, dataset, progress)
    manifest = datasets.manifest(ObjectStore(settings.store).data, version)
    newest = max((part.period for part in manifest.files if part.period not in excluded), default="")
    reason = fallback.fallback_reason(champion, month, newest)
    if reason is None:
        return None
    trained = training.train(settings, version, excluded, progress, RunRole.FALLBACK)
    registered = selection.register_training(models, settings, trained.run_id, progress)
    if registered.version == champion.version.version:  # promoted manually before: no other model can replace it
        return None
    selected = fallback.promote_fallback(models, registered, champion, reason, month)
    progress(selected.reason)
    return selected


def release(
    settings: Settings, model_id: str | None = None, timeout: float | None = None, progress: Progress = log_progress
) -> Release:
    """Request the release of a model (the champion by default), and wait for its outcome if `timeout` (s) is given.

    Raises as `request_release` and `wait` do.
    """
    requested = requests.request_release(settings, model_id, progress)
    return requested if timeout is None else requests.wait(settings.database, requested.id, timeout, progress)


def request_retrainings(settings: Settings, periods: Sequence[str], day: date) -> list[str]:
    """Request a retraining for each period in which the live model has decayed, as monitored on `day`.

    Returns the periods with a request; none during the cool-down. Raises ConfigError or UpstreamError.
    """
    with transaction(settings.database) as connection:
        assessments = status.assessments_of(connection, settings.mlflow.model_name, periods)
    return [each.period for each in assessments if request_retraining(settings.database, settings.monitor, each, day)]


def record_rejection(database: DatabaseSettings, rejected: Selection) -> None:
    """Record that a challenger was rejected, once for each champion that it was compared with."""
    event = Event(EventKind.CHALLENGE, rejected.model_id, champion=rejected.champion_before or "")
    with transaction(database) as connection:
        repository.lock_requests(connection)
        if not events.is_recorded(connection, event):
            criteria = [_values(each) for each in rejected.criteria]
            events.record(connection, event, rejected.reason, {"criteria": criteria})


def request_retraining(
    database: DatabaseSettings, monitor: MonitorSettings, assessment: PeriodAssessment, day: date
) -> bool:
    """Record a request for a retraining if a model has decayed; returns whether there is one.

    There is none if the model has not decayed, is not live, or has a request that is younger than the cool-down. A
    second call for the same period and day is a retry of a killed task: it returns True again, even if the assessment
    of the period has changed since.
    """
    event = Event(EventKind.RETRAINING, assessment.model_id, period=assessment.period, day=day)
    with transaction(database) as connection:
        repository.lock_requests(connection)
        live = repository.live(connection)
        if live is None or live.model_id != assessment.model_id:
            return False
        if events.is_recorded(connection, event):
            return True
        if assessment.status is not PeriodStatus.PERFORMANCE_DEGRADED:
            return False
        before = events.newest(connection, EventKind.RETRAINING, assessment.model_id)
        if before is not None and datetime.now(UTC) - before < timedelta(days=monitor.cooldown_days):
            return False
        metrics = status.metrics_of(connection, assessment.period, assessment.model_id)
        details = {name: metrics[name] for name in _METRICS if name in metrics}
        events.record(connection, event, f"{assessment.period}, seen on {day}: {assessment.reason}", details)
        return True


def _values(criterion: Criterion) -> dict[str, Any]:
    """A criterion as JSON, which has no NaN: the value of a ROC AUC difference on rows with a single outcome."""
    return asdict(criterion) | {"value": criterion.value if isfinite(criterion.value) else None}
