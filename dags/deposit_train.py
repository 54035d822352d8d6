"""### Train and select

Tunes XGBoost and fits the logistic baseline on the dataset version ingested last, logs all runs to MLflow, and lets the
challenger become **champion** only if it passes the gate against today's champion on the newest out-of-time months.
A refused challenger ends the run with `select` skipped: nothing is released. What follows a new champion:
`deposit_release`, by the asset `deposit_champion`.
"""

from airflow.sdk import Param, dag, task

from deposit_defaults import CHAMPION, DATASET, DEFAULTS, MODELS, REFUSED


@task.external_python(**MODELS)
def train(dataset: str | None) -> str:
    """Train the candidates and return the MLflow run that holds them."""
    import logging

    from deposit.model.training import train
    from deposit.settings import load_settings

    logging.basicConfig(level=logging.INFO)
    return train(load_settings(), dataset).run_id


@task.external_python(**MODELS, outlets=[CHAMPION], skip_on_exit_code=REFUSED)
def select(training: str, refused: int) -> str:
    """Make the challenger champion if it has earned it, and return its model id."""
    import logging

    from deposit.model.selection import select
    from deposit.settings import load_settings

    logging.basicConfig(level=logging.INFO)
    selection = select(load_settings(), training)
    logging.getLogger("deposit").info(selection.reason)
    if not selection.is_champion:
        raise SystemExit(refused)
    return selection.model_id


@dag(
    **DEFAULTS,
    schedule=[DATASET],
    doc_md=__doc__,
    params={
        "dataset": Param(
            None, type=["null", "string"], description="Dataset version; empty means the one ingested last."
        ),
    },
)
def deposit_train() -> None:
    """Train, then select."""
    select(train("{{ params.dataset }}"), REFUSED)


deposit_train()
