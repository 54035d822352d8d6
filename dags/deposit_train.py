"""### Train and select

Fits every recipe on the dataset version ingested last, each month scored by the months before it, mixes them by what
they did, and logs all runs to MLflow. The mixture becomes **champion** if it passes the gate: the same recipes on newer
months unless they are clearly worse than today's champion, another table of recipes only if it is better beyond noise.
A refused challenger ends the run with `select` skipped: nothing is released, and a row in `events` says why. What
follows a new champion: `deposit_release`, by the asset `deposit_champion`.

Months whose data is broken are left out. Runs for every new dataset version, and once more when
monitoring says that a model has decayed; that costs nothing if no rows were ingested since: the same training is done
once.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit.tasks import SKIP
from deposit_defaults import CHAMPION, DATASET, DATASET_VERSION, DECAY, DEFAULTS, MODELS, SETTINGS, param


@task.external_python(**MODELS, executor=SETTINGS.train.executor)
def train(dataset: str | None) -> str:
    """Train and return the MLflow run that holds the model."""
    from deposit.loop import train
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        return train(load_settings(), dataset).run_id


@task.external_python(**MODELS, outlets=[CHAMPION], skip_on_exit_code=SKIP)
def select(training: str) -> str:
    """Make the challenger champion if it has earned it, and return its model id."""
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
