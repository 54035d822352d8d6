"""Shared by the DAGs: assets, default arguments, and how a task runs in the models' environment."""

from datetime import UTC, datetime, timedelta
from subprocess import CalledProcessError
from typing import Any

from airflow.sdk import Asset, Param, RetryDecision, RetryPolicy

from deposit.settings import open_settings
from deposit.tasks import REFUSED

DATASET = Asset(uri="deposit://dataset", name="deposit_dataset", group="deposit")
CHAMPION = Asset(uri="deposit://champion", name="deposit_champion", group="deposit")
DECAY = Asset(uri="deposit://decay", name="deposit_decay", group="deposit")

DATASET_VERSION = r"^[0-9a-f]{16}$"
MODEL_ID = r"^\S+-v[1-9]\d{0,8}$"
MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"
MONTH_OR_DAY = r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$"
"""Patterns of parameters: Airflow rejects a value that does not match, in the trigger form and in the API."""

CHARSET = Param(
    None,
    type=["null", "string"],
    pattern=r"^[A-Za-z][\w.:-]*$",
    examples=["windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254"],
    description="Charset of a text file, one of these or any other; empty means the charset in the settings.",
)


class UnlessRefused(RetryPolicy):
    """Retry tasks whose failure may pass, such as an outage, but not those that exited with `REFUSED`."""

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        """Fail a task without retries if its exit code is `REFUSED`."""
        if isinstance(exception, CalledProcessError) and exception.returncode == REFUSED:
            return RetryDecision.fail("refused, for the reason above")
        return RetryDecision.default()


def report_failure(context: Any) -> None:
    """Record a failed run as an event, and post it to the webhook if one is set."""
    from deposit.events import report_failure
    from deposit.settings import load_settings

    run, dag = context["run_id"], context["dag"].dag_id
    instance = context.get("task_instance")
    task = f" in its task {instance.task_id}" if instance else ""
    settings, reason = load_settings(), f"{dag} failed{task}: {context['reason']} ({run})"
    report_failure(settings.database, settings.monitor.webhook_url, dag, run, reason)


SETTINGS = open_settings()
"""Settings for the DAG files, without secrets: Airflow parses these files every minute."""


def _first_moment() -> datetime:
    """Start date of the DAGs: without Docker the stack's creation, so that a new stack has no missed runs."""
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
"""Arguments of tasks in the models' environment, whose libraries Airflow's environment does not have."""


def param(name: str) -> Any:
    """A run parameter as a task argument: a template that Airflow renders to the value."""
    return f"{{{{ params['{name}'] }}}}"
