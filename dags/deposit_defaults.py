"""What the DAGs share: their assets, their defaults, and how a task runs in the models' environment."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Asset

from deposit.settings import load_settings

DATASET = Asset(uri="deposit://dataset", name="deposit_dataset", group="deposit")
CHAMPION = Asset(uri="deposit://champion", name="deposit_champion", group="deposit")
DECAY = Asset(uri="deposit://decay", name="deposit_decay", group="deposit")

SKIP = 99
"""Exit code of a task that has nothing to pass on: it is skipped, and so is what follows it."""

DEFAULTS = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "render_template_as_native_obj": True,
    "tags": ["deposit"],
    "default_args": {
        "owner": "deposit",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=30),
    },
}

MODELS = {"python": str(load_settings().python), "expect_airflow": False}
"""A task's environment: the models', whose libraries Airflow's own never imports."""
