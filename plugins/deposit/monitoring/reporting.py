"""Reports of a period: one for each model that predicted in it."""

import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from deposit.data.period import Period, parse_period
from deposit.database import transaction
from deposit.errors import DataError
from deposit.monitoring.monitor import MonitoredPeriod, monitor
from deposit.monitoring.period_rows import PeriodRows, Sample, period_rows
from deposit.progress import Progress, log_progress
from deposit.settings import Settings

if TYPE_CHECKING:
    from deposit.monitoring.evidently_report import WrittenReport


def monitor_and_report(settings: Settings, period: str, progress: Progress = log_progress) -> MonitoredPeriod:
    """Monitor a period and write its reports. Raises as `monitor` and `write_reports` do.

    Reports are computed from samples drawn first, while PostgreSQL counts: the rows are opened once. No report is
    stored before the metrics, because storing the metrics removes those of an earlier report.
    """
    span, counted = parse_period(period), Future[MonitoredPeriod]()
    reports: list[Future[list[WrittenReport]]] = []

    def draw(predictions: PeriodRows, model_ids: Sequence[str]) -> None:
        if not model_ids:
            return
        executor.submit(_import_libraries)
        samples = _samples(settings.monitor.sample_rows, predictions, model_ids)
        reports.append(executor.submit(_write, settings, span, samples, progress, counted.result))

    with ThreadPoolExecutor(max_workers=1) as executor:
        try:
            counted.set_result(monitor(settings, period, progress, draw))
        except BaseException as error:
            counted.set_exception(error)
            raise
        for each in reports:
            each.result()
    return counted.result()


def write_reports(settings: Settings, period: str, progress: Progress = log_progress) -> "list[WrittenReport]":
    """Write the reports of all models that predicted in a period; repeating it replaces them.

    Models that are no longer in the registry are skipped. Raises ConfigError (not a period), SourceError or
    UpstreamError.
    """
    span = parse_period(period)
    with transaction(settings.database) as connection, period_rows(settings, connection, span) as predictions:
        samples = _samples(settings.monitor.sample_rows, predictions, predictions.models_of(settings.mlflow.model_name))
    if not samples:
        return []
    _import_libraries()
    return _write(settings, span, samples, progress)


def _samples(most: int, predictions: PeriodRows, model_ids: Sequence[str]) -> dict[str, Sample]:
    return {model_id: predictions.sample(model_id, most) for model_id in model_ids}


def _write(
    settings: Settings,
    span: Period,
    samples: Mapping[str, Sample],
    progress: Progress,
    wait: Callable[[], object] = lambda: None,
) -> "list[WrittenReport]":
    """Write the reports of models from samples of their predictions; `wait` is called before each one is stored."""
    from deposit.monitoring.evidently_report import draft_report, store_report
    from deposit.registry.model_files import RegisteredModels

    models, written = RegisteredModels(settings), []
    for model_id, sample in samples.items():
        progress(f"{span.name}: writing the report of {model_id}")
        try:
            artifact = models.load(models.by_id(model_id))
        except DataError as error:
            progress(f"{span.name}: {model_id} is skipped: {error}")
            continue
        draft = draft_report(settings.store, settings.monitor.sample_rows, span, model_id, artifact, sample)
        wait()
        written.append(store_report(settings, draft))
    return written


def _import_libraries() -> None:
    """Import Evidently, which takes seconds that a period without predictions need not wait for.

    Arrow, which reads the training rows, is switched to the system allocator: its own pool retains 16 MiB for later
    reads.
    """
    # garbage collection would take a quarter of the import's time and free almost nothing
    gc.disable()
    try:
        import deposit.monitoring.evidently_report
        import deposit.registry.model_files  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
