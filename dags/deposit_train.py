"""### Train and select

Fits every recipe on the dataset version ingested last, with each month scored by models of the months before it, mixes
the recipes by their performance, and logs all runs to MLflow. The mixture becomes **champion** if it passes the gate:
the same recipes on newer months unless they are clearly worse than the current champion, another table of recipes only
if it is better beyond noise. If the challenger is rejected, `select` is skipped, nothing is released, and a row in
`events` says why. A new champion triggers `deposit_release` through the asset `deposit_champion`.

Months whose data is broken are excluded. The DAG runs for every new dataset version, and when monitoring finds that a
model has decayed. Training is idempotent: if no rows were ingested since, the existing training run is reused.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit.tasks import SKIP
from deposit_defaults import CHAMPION, DATASET, DATASET_VERSION, DECAY, DEFAULTS, MODELS, SETTINGS, param


@task.external_python(**MODELS, executor=SETTINGS.train.executor)
def train(dataset: str | None) -> str:
    """Train, and return the id of the MLflow run with the model."""
    from deposit.loop import train
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        return train(load_settings(), dataset).run_id


@task.external_python(**MODELS, outlets=[CHAMPION], skip_on_exit_code=SKIP)
def select(training: str) -> str:
    """Promote the challenger if it passes the gate, and return its model id; skipped otherwise."""
    import logging

    from deposit.loop import challenge
    from deposit.settings import load_settings
    from deposit.tasks import running, skip_unless

    with running():
        selection = challenge(load_settings(), training)
        logging.getLogger("deposit").info(selection.reason)
        skip_unless(selection.is_champion)
        return selection.model_id


@dag(
    **DEFAULTS,
    schedule=DATASET | DECAY,
    doc_md=__doc__,
    params={
        "dataset": Param(
            None,
            type=["null", "string"],
            pattern=DATASET_VERSION,
            description="Dataset version: 16 hexadecimal digits; empty means the one ingested last.",
        ),
    },
)
def deposit_train() -> None:
    """Train, then select."""
    training: Any = train(param("dataset"))
    select(training)


deposit_train()
