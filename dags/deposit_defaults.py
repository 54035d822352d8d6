"""What the DAGs share: their assets, their defaults, and how a task runs in the models' environment."""

from datetime import UTC, datetime, timedelta
from subprocess import CalledProcessError
from typing import Any

from airflow.sdk import Asset, RetryDecision, RetryPolicy

from deposit.settings import open_settings
from deposit.tasks import REFUSED

DATASET = Asset(uri="deposit://dataset", name="deposit_dataset", group="deposit")
CHAMPION = Asset(uri="deposit://champion", name="deposit_champion", group="deposit")
DECAY = Asset(uri="deposit://decay", name="deposit_decay", group="deposit")

DATASET_VERSION = r"^[0-9a-f]{16}$"
MODEL_ID = r"^\S+-v[1-9]\d{0,8}$"
MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
MONTH_OR_DAY = r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$"
"""What a parameter must look like: Airflow refuses another at once, in the form and in the API."""


class UnlessRefused(RetryPolicy):
    """Try again what may pass, as a server that is down; a task that was refused would be refused again."""

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        """Fail a task that says by its exit code that it was refused."""
        if isinstance(exception, CalledProcessError) and exception.returncode == REFUSED:
            return RetryDecision.fail("refused, for the reason above")
        return RetryDecision.default()


def report_failure(context: Any) -> None:
    """Record a run that failed, and call whoever is to be called."""
    from deposit.events import report_failure
    from deposit.settings import load_settings

    run, dag = context["run_id"], context["dag"].dag_id
    instance = context.get("task_instance")
    task = f" in its task {instance.task_id}" if instance else ""
    settings, reason = load_settings(), f"{dag} failed{task}: {context['reason']} ({run})"
    report_failure(settings.database, settings.monitor.webhook_url, dag, run, reason)


SETTINGS = open_settings()
"""What files of DAGs go by: they are read every minute, and need no secret."""


def _first_moment() -> datetime:
    """From when on runs are due: a new stack without Docker has missed no night."""
    secrets = SETTINGS.state.secrets
    if not secrets.exists():
        return datetime(2026, 1, 1, tzinfo=UTC)
    return datetime.fromtimestamp(int(secrets.stat().st_mtime), UTC)


DEFAULTS: dict[str, Any] = {
    "start_date": _first_moment(),
    "catchup": False,
    "max_active_runs": 1,
    "render_template_as_native_obj": True,
    "tags": ["deposit"],
    "on_failure_callback": report_failure,
    "default_args": {
        "owner": "deposit",
        "retries": 2,
        "retry_policy": UnlessRefused(),
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
}

MODELS: dict[str, Any] = {"python": str(SETTINGS.python), "expect_airflow": False}
"""A task's environment: the models', whose libraries Airflow's own never imports."""


def param(name: str) -> Any:
    """A parameter of the run as a task's argument: a template, in whose place Airflow puts the value."""
    return f"{{{{ params['{name}'] }}}}"
