"""### Replay

Replays two years of production in minutes, on the real rows and the real stack. For each month: score its customers
through the running service with their original time, report the outcomes late, monitor the month, ingest it, train, and
release the model if it passes the gate. The replay uses its own registered model, `replay`, so production's champion is
not touched. During and after the replay the gateway serves the replay's models; `deposit release` deploys the champion
again. If a run fails or is stopped or killed, the model that was live before becomes live again, and the next run
resumes where this one stopped.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from deposit_defaults import DEFAULTS, MODELS, MONTH, param


@task.external_python(**MODELS, execution_timeout=timedelta(hours=2))
def replay(first: str, last: str, training: bool) -> str:
    """Replay the months from `first` to `last`, and return the URI of the chart."""
    from deposit.replay.replay import replay
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        return replay(load_settings(), first, last, training).chart


@dag(
    **DEFAULTS,
    schedule=None,
    doc_md=__doc__,
    params={
        "from": Param("2008-11", type="string", pattern=MONTH, description="First month."),
        "to": Param("2010-11", type="string", pattern=MONTH, description="Last month."),
        "training": Param(
            True, type="boolean", description="Whether new labels train a new model; if not, see how a model expires."
        ),
    },
)
def deposit_replay() -> None:
    """Replay."""
    replay(param("from"), param("to"), param("training"))


deposit_replay()
