"""### Replay

Two years of production in minutes, on the real rows and the real stack. For each month: score its customers through
the running service with their time, tell the outcomes late, monitor the month, ingest it, train, and release what
passes the gate. All of it with a registered model of its own, `replay`, so production's champion is not touched; while
it runs and after it, the gateway serves the replay's models, and `deposit release` puts the champion back. If a run
fails, is stopped or is killed, what was live before it is live again; the next one goes on where it was.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from deposit_defaults import DEFAULTS, MODELS, MONTH, param


@task.external_python(**MODELS, execution_timeout=timedelta(hours=2))
def replay(first: str, last: str, training: bool) -> str:
    """Replay the months from `first` to `last`, and return where the chart is."""
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
            True, type="boolean", description="Whether new labels train a new model; without, see how a model expires."
        ),
    },
)
def deposit_replay() -> None:
    """Replay."""
    replay(param("from"), param("to"), param("training"))


deposit_replay()
