"""### Train and select

Tunes XGBoost and fits the logistic baseline on the dataset version ingested last, logs all runs to MLflow, and lets the
challenger become **champion** only if it passes the gate against today's champion on the newest out-of-time months.
A refused challenger ends the run with `select` skipped: nothing is released, and a row in `releases` says why. What
follows a new champion: `deposit_release`, by the asset `deposit_champion`.

Months whose data monitoring found broken are left out. Runs for every new dataset version, and once more when
monitoring has seen a model decay; that costs nothing if no rows were ingested since: the same training is done once.
"""

from airflow.sdk import Param, dag, task

from deposit_defaults import CHAMPION, DATASET, DATASET_VERSION, DECAY, DEFAULTS, MODELS, SKIP


@task.external_python(**MODELS)
def train(dataset: str | None) -> str:
    """Train the candidates and return the MLflow run that holds them."""
    from deposit.monitoring.status import periods_to_exclude
    from deposit.settings import load_settings
    from deposit.tasks import running
    from deposit.training.training import train

    with running():
        settings = load_settings()
        return train(settings, dataset, periods_to_exclude(settings)).run_id


@task.external_python(**MODELS, outlets=[CHAMPION], skip_on_exit_code=SKIP)
def select(training: str, skip: int) -> str:
    """Make the challenger champion if it has earned it, and return its model id."""
    import logging

    from deposit.loop import challenge
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        selection = challenge(load_settings(), training)
        logging.getLogger("deposit").info(selection.reason)
        if not selection.is_champion:
            raise SystemExit(skip)
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
    select(train("{{ params.dataset }}"), SKIP)


deposit_train()
