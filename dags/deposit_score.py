"""### Score in batch

Scores every row of Parquet or CSV files of any size with the champion or a chosen model, and writes a folder of Parquet
files: id, probability, expected value, rank and model id, best rows first; the manifest is written last.
Invalid rows go to quarantine in the same folder, with file, line and reason. With `DEPOSIT_SCORE__LOG` the predictions
are also written to PostgreSQL, so that outcomes can be reported and months monitored.

A run that was killed resumes where it stopped; a run whose results are already published does nothing. Empty fields of
the trigger form are taken from the settings: `DEPOSIT_SCORE__INPUT`, and a folder per day in the data bucket.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from deposit_defaults import CHARSET, DEFAULTS, MODEL_ID, MODELS, MONTH_OR_DAY, SETTINGS, param


@task.external_python(**MODELS, execution_timeout=timedelta(hours=12))
def score(
    source: str | None,
    output: str | None,
    model: str | None,
    period: str | None,
    charset: str | None,
    overwrite: bool,
    restart: bool,
    day: str,
) -> dict[str, Any]:
    """Score the files, and return a summary with the output folder."""
    import dataclasses

    from deposit.scoring.score import ScoreRequest, score, with_defaults
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings().changed("score", charset=charset)
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
            description="Month or day, like 2010-05, under which predictions are logged; empty means now.",
        ),
        "charset": CHARSET,
        "overwrite": Param(False, type="boolean", description="Replace the results of another run in that folder."),
        "restart": Param(False, type="boolean", description="Start an unfinished run from the beginning."),
    },
)
def deposit_score() -> None:
    """Score."""
    day = "{{ dag_run.run_after.date().isoformat() }}"
    score(
        param("input"), param("output"), param("model"), param("period"), param("charset"),
        param("overwrite"), param("restart"), day,
    )  # fmt: skip


deposit_score()
