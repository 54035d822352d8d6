"""### Ingest the campaign history

Reads the source, checks every row against the data contract, and publishes a **dataset version** to the object store.
Bad rows go to quarantine and to the table `rejects`; too many of them fail the run with nothing published.
The same input twice makes no second version. What follows: `deposit_train`, by the asset `deposit_dataset`.
"""

from airflow.sdk import Param, dag, task

from deposit_defaults import DATASET, DEFAULTS, MODELS


@task.external_python(**MODELS, outlets=[DATASET])
def ingest(source: str, path: str | None) -> dict:
    """Publish the source as a dataset version."""
    import dataclasses
    import logging

    from deposit.data.ingest import ingest
    from deposit.settings import load_settings

    logging.basicConfig(level=logging.INFO)
    return dataclasses.asdict(ingest(load_settings().changed("ingest", source=source, path=path)))


@dag(
    **DEFAULTS,
    schedule=None,
    doc_md=__doc__,
    params={
        "source": Param(
            "bundled",
            enum=["bundled", "uci", "kaggle", "file", "postgres"],
            description="Where the data comes from; file, kaggle and postgres have settings of their own.",
        ),
        "path": Param(None, type=["null", "string"], description="Source `file`: path of the CSV."),
    },
)
def deposit_ingest() -> None:
    """Ingest."""
    ingest("{{ params.source }}", "{{ params.path }}")


deposit_ingest()
