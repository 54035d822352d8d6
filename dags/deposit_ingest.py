"""### Ingest the campaign history

Reads the source, checks every row against the data contract, and publishes a **dataset version** to the object store.
Bad rows go to quarantine and to the table `rejects`; too many of them fail the run with nothing published.
The months of the public data set are known; rows of another source need a column `period` or `date`, or the first row's
year. A file whose months cannot be right fails the run, too, unless that is accepted by name.
The same input twice makes no second version. What follows: `deposit_train`, by the asset `deposit_dataset`.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit.settings import load_settings
from deposit_defaults import DATASET, DEFAULTS, MODELS, param

RULES = {
    "macro": "macro: two months with the same price and confidence index, or one with several",
    "repeated": "repeated: rows that stand in the file twice",
    "future": "future: months that are still to come",
    "gaps": "gaps: more than two months missing in a row",
}


@task.external_python(**MODELS, outlets=[DATASET])
def ingest(source: str, path: str | None, first_year: int | None, accept: list[str] | None) -> dict[str, Any]:
    """Publish the source as a dataset version."""
    import dataclasses

    from deposit.data.ingest import ingest
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        values = {"source": source, "path": path, "first_year": first_year, "accept": accept or None}
        return dataclasses.asdict(ingest(load_settings().changed("ingest", **values)))


@dag(
    **DEFAULTS,
    schedule=None,
    doc_md=__doc__,
    params={
        "source": Param(
            load_settings().ingest.source,
            enum=["bundled", "uci", "kaggle", "file", "postgres"],
            description="Where the data comes from; file, kaggle and postgres have settings of their own.",
        ),
        "path": Param(None, type=["null", "string"], description="Source `file`: path of the CSV."),
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
            description="Checks of the months that may fail: the file is right all the same.",
        ),
    },
)
def deposit_ingest() -> None:
    """Ingest."""
    ingest(param("source"), param("path"), param("first_year"), param("accept"))


deposit_ingest()
