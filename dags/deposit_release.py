"""### Release the champion

Packages the champion as a Bento, pushes it to the object store, and requests its release with a row in `releases`.
The releaser carries it out: it starts the new service beside the old one, smoke-tests it with real rows, checks parity
with the training process, switches the gateway and drains the old service. If the release fails, this run fails with
the same reason, and the old model goes on serving. With `rollback`, the previously live model is deployed again
instead, from its own Bento.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit_defaults import CHAMPION, DEFAULTS, MODEL_ID, MODELS, param


@task.external_python(**MODELS)
def request(model: str | None, rollback: bool) -> int:
    """Package the model and request its release, or request a rollback; returns the id of the release."""
    from deposit.errors import ConfigError
    from deposit.release.requests import request_release, request_rollback
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        if rollback and model:
            raise ConfigError(f"`rollback` restores the previous model, but `model` names {model}: give only one")
        return (request_rollback(load_settings().database) if rollback else request_release(load_settings(), model)).id


@task.external_python(**MODELS, retries=1)
def wait(release: int, timeout: int) -> str:
    """Wait until the releaser has finished; fail with its reason if the release failed."""
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
        "rollback": Param(False, type="boolean", description="Roll back to the model that served before."),
        "timeout": Param(300, type="integer", minimum=10, maximum=1800, description="Seconds to wait for the outcome."),
    },
)
def deposit_release() -> None:
    """Request the release, then wait for its outcome."""
    release: Any = request(param("model"), param("rollback"))
    wait(release, param("timeout"))


deposit_release()
