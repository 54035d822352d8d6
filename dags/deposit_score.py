"""### Score in batch

Scores every row of some files, Parquet or CSV, of any size, by the champion or by a model of your choice, and writes a
folder of Parquet: id, probability, expected value, rank and model id, best rows first, and a manifest as the last file.
Bad rows go to quarantine there, with file, line and reason. With `DEPOSIT_SCORE__LOG` the predictions are in PostgreSQL
too, so that outcomes can be reported and months monitored.

A run that was killed goes on where it was; one that has published the same already publishes nothing. What the form
leaves empty is as the settings say: `DEPOSIT_SCORE__INPUT`, and a folder of the day in the data bucket.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from deposit_defaults import DEFAULTS, MODEL_ID, MODELS, MONTH_OR_DAY, SETTINGS, param


@task.external_python(**MODELS, execution_timeout=timedelta(hours=12))
def score(
    source: str | None,
    output: str | None,
    model: str | None,
    period: str | None,
    overwrite: bool,
    restart: bool,
    day: str,
) -> dict[str, Any]:
    """Score the files, and return what was published and where."""
    import dataclasses

    from deposit.scoring.score import ScoreRequest, score, with_defaults
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings()
        source, output = with_defaults(settings.score, settings.store, source, output, day)
        return dataclasses.asdict(score(settings, ScoreRequest(source, output, model, period, overwrite, restart)))


@dag(
    **DEFAULTS,
    schedule=SETTINGS.score.schedule,
    doc_md=__doc__,
    params={
        "input": Param(
            None,
            type=["null", "string"],
            minLength=1,
            description="A file, a folder or a pattern with `*`, on the worker or as s3://bucket/…: Parquet or CSV.",
        ),
        "output": Param(
            None, type=["null", "string"], minLength=1, description="Folder of the results, as s3://bucket/folder."
        ),
        "model": Param(
            None,
            type=["null", "string"],
            pattern=MODEL_ID,
            description="Model id like deposit-v3; empty means the champion.",
        ),
        "period": Param(
            None,
            type=["null", "string"],
            pattern=MONTH_OR_DAY,
            description="A month or a day, like 2010-05, that logged predictions count as made in; empty means now.",
        ),
        "overwrite": Param(False, type="boolean", description="Replace the results of another run in that folder."),
        "restart": Param(False, type="boolean", description="Begin a run that was not finished anew."),
    },
)
def deposit_score() -> None:
    """Score."""
    day = "{{ dag_run.run_after.date().isoformat() }}"
    score(param("input"), param("output"), param("model"), param("period"), param("overwrite"), param("restart"), day)


deposit_score()
