"""### Release the champion

Packages the champion as a Bento, pushes it to the object store and asks for its release with a row in `releases`.
The releaser carries it out: it starts the new service beside the old one, smoke-tests it with real rows, checks parity
with the training process, switches the gateway and drains the old one. A release that fails fails this run with its
reason; the old model goes on serving. With `rollback`, the model that served before is put back to traffic instead,
from what it was released with.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit_defaults import CHAMPION, DEFAULTS, MODEL_ID, MODELS, param


@task.external_python(**MODELS)
def request(model: str | None, rollback: bool) -> int:
    """Package the model, ask for its release or for the rollback, and return the release's number."""
    from deposit.errors import ConfigError
    from deposit.release.requests import request_release, request_rollback
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        if rollback and model:
            raise ConfigError(f"`rollback` serves what served before, and `model` names {model}: give one of them")
        return (request_rollback(load_settings().database) if rollback else request_release(load_settings(), model)).id


@task.external_python(**MODELS, retries=1)
def wait(release: int, timeout: int) -> str:
    """Wait for the releaser's outcome; fail with its reason."""
    from deposit.release.requests import describe, wait
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        return describe(wait(load_settings().database, release, timeout))


@dag(
    **DEFAULTS,
    schedule=[CHAMPION],
    doc_md=__doc__,
    params={
        "model": Param(
            None,
            type=["null", "string"],
            pattern=MODEL_ID,
            description="Model id like deposit-v3; empty means the champion.",
        ),
        "rollback": Param(False, type="boolean", description="Put the model that served before back to traffic."),
        "timeout": Param(300, type="integer", minimum=10, maximum=1800, description="Seconds to wait for the outcome."),
    },
)
def deposit_release() -> None:
    """Ask, then wait."""
    release: Any = request(param("model"), param("rollback"))
    wait(release, param("timeout"))


deposit_release()
