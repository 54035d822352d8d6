"""### Ingest the campaign history

Reads the source, checks every row against the data contract, and publishes a **dataset version** to the object store.
Invalid rows go to quarantine and to the table `rejects`; too many of them fail the run, and nothing is published.
The months of the public data set are known; rows of another source need a column `period` or `date`, or the year of the
first row. The run also fails if the months of a file cannot be right, unless the failed check is listed in `accept`.
Ingesting the same input again creates no second version. The asset `deposit_dataset` then triggers `deposit_train`.

Empty fields of the trigger form are taken from the settings. With source `s3` the triggerer first waits for the file.
"""

from datetime import date, timedelta
from typing import Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from deposit_defaults import CHARSET, DATASET, DEFAULTS, MODELS, SETTINGS, param

SOURCES = ["bundled", "uci", "kaggle", "file", "s3", "postgres"]
RULES = {
    "macro": "macro: two months with the same price and confidence index, or one with several",
    "repeated": "repeated: rows that are in the file twice",
    "future": "future: months in the future",
    "gaps": "gaps: more than two months missing in a row",
}
PATIENCE = timedelta(days=14)


@task
def locate(source: str | None, uri: str | None, day: str) -> str | None:
    """Return the URI pattern of the file of a day; skips itself and the sensor for sources other than `s3`."""
    chosen = SETTINGS.changed("ingest", source=source, s3_uri=uri).ingest
    expected = chosen.object_pattern(date.fromisoformat(day)) if chosen.source == "s3" else None
    if expected is None:
        raise AirflowSkipException("there is no object to wait for")
    return expected


@task.external_python(**MODELS, outlets=[DATASET], trigger_rule="none_failed")
def ingest(
    source: str | None, uri: str | None, path: str | None, charset: str | None, first_year: int | None,
    accept: list[str] | None,
) -> dict[str, Any]:  # fmt: skip
    """Publish the source as a dataset version."""
    import dataclasses

    from deposit.data.ingest import ingest
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        values = {"source": source, "s3_uri": uri, "path": path, "charset": charset, "first_year": first_year}
        return dataclasses.asdict(ingest(load_settings().changed("ingest", **values, accept=accept or None)))


@dag(
    **DEFAULTS,
    schedule=SETTINGS.ingest.schedule,
    doc_md=__doc__,
    params={
        "source": Param(
            None,
            enum=[None, *SOURCES],
            description="Source of the data; file, s3, kaggle and postgres have further settings.",
        ),
        "s3_uri": Param(None, type=["null", "string"], description="Source `s3`: URI, or pattern, of the object."),
        "path": Param(None, type=["null", "string"], description="Source `file`: path of the CSV."),
        "charset": CHARSET,
        "first_year": Param(
            None,
            type=["null", "integer"],
            minimum=1970,
            maximum=2100,
            description="Year of the first row, if rows have neither `period` nor `date`; not for the public data set.",
        ),
        "accept": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "enum": [*RULES]},
            examples=[*RULES],
            values_display=RULES,
            description="Checks of the months that may fail, for a file that is right all the same.",
        ),
    },
)
def deposit_ingest() -> None:
    """With source `s3` wait for the file, then ingest."""
    uri: Any = locate(param("source"), param("s3_uri"), "{{ dag_run.run_after.date().isoformat() }}")
    file = S3KeySensor(
        task_id="wait", bucket_key=uri, wildcard_match=True, deferrable=True, poke_interval=300,
        timeout=PATIENCE.total_seconds(), execution_timeout=PATIENCE,
    )  # fmt: skip
    file >> ingest(param("source"), uri, param("path"), param("charset"), param("first_year"), param("accept"))


deposit_ingest()
