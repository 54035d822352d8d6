"""The reports of a period: one of each model that predicted in it."""

import gc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from deposit.data.period import parse_period
from deposit.database import transaction
from deposit.errors import DataError
from deposit.monitoring.monitor import MonitoredPeriod, monitor
from deposit.monitoring.period_rows import period_rows
from deposit.progress import Progress, log_progress
from deposit.settings import Settings

if TYPE_CHECKING:
    from deposit.monitoring.evidently_report import WrittenReport


def monitor_and_report(settings: Settings, period: str, progress: Progress = log_progress) -> MonitoredPeriod:
    """Monitor a period and write its reports; what these need is imported while PostgreSQL counts."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        monitored = monitor(settings, period, progress, partial(beside.submit, _import_libraries))
    write_reports(settings, period, progress)
    return monitored


def write_reports(settings: Settings, period: str, progress: Progress = log_progress) -> "list[WrittenReport]":
    """Write the reports of all models that predicted in a period; a repeat replaces them.

    A model that is gone from the registry is left out. Raises ConfigError (no period), SourceError or UpstreamError.
    """
    span = parse_period(period)
    written = []
    with transaction(settings.database) as connection, period_rows(settings, connection, span) as predictions:
        model_ids = predictions.models_of(settings.mlflow.model_name)
        if not model_ids:
            return []
        _import_libraries()
        from deposit.monitoring.evidently_report import write_report
        from deposit.registry.registry import ModelRegistry

        registry = ModelRegistry(settings)
        for model_id in model_ids:
            progress(f"{span.name}: writing the report of {model_id}")
            try:
                artifact = registry.load(registry.by_id(model_id))
            except DataError as error:
                progress(f"{span.name}: {model_id} is left out: {error}")
                continue
            written.append(write_report(settings, connection, predictions, span, model_id, artifact))
    return written


def _import_libraries() -> None:
    """Evidently and MLflow take seconds to import, which a period without predictions need not wait for."""
    # an import makes no garbage that would be worth a quarter of its time
    gc.disable()
    try:
        import deposit.monitoring.evidently_report
        import deposit.registry.registry  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()
