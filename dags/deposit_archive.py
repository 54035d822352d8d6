"""### Archive

Moves the months of `predictions` that are older than `DEPOSIT_ARCHIVE__KEEP_MONTHS` from PostgreSQL to Parquet in the
object store, where monitoring continues to read them. A month's files are read back and compared with the rows before
its partitions are dropped; a run that was killed resumes where it stopped. A month that may still get rows stays in
PostgreSQL, and the task's result says why. The DAG has no schedule unless `DEPOSIT_ARCHIVE__SCHEDULE` is set. With
`month`, it archives only that month.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from deposit_defaults import DEFAULTS, MODELS, MONTH, SETTINGS, param


@task.external_python(**MODELS, execution_timeout=timedelta(hours=12))
def archive(month: str | None) -> list[dict[str, Any]]:
    """Archive the months that are old enough, or the given one, and return the result of each."""
    import msgspec

    from deposit.log.archiver import archive_months
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        # as built-in types: Airflow's environment cannot import ours
        months: list[dict[str, Any]] = msgspec.to_builtins(archive_months(load_settings(), month))
        return months


@dag(
    **DEFAULTS,
    schedule=SETTINGS.archive.schedule,
    doc_md=__doc__,
    params={
        "month": Param(
            None,
            type=["null", "string"],
            pattern=MONTH,
            description="A month, like 2010-05; empty means all months that are due.",
        ),
    },
)
def deposit_archive() -> None:
    """Archive."""
    archive(param("month"))


deposit_archive()
