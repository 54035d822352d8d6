"""### Monitor

Every night: aggregates in PostgreSQL the predictions of each model in the month of the day before and in the two months
before that (outcomes come late), compares them with the model's training data and its expected performance, and writes
every metric and a **verdict** per model to the table `metrics`: stable, population shift, decay, or data fault.
Then it writes an Evidently report for each. Decay updates the asset `deposit_decay`, which triggers `deposit_train` at
once, but not again during the cool-down, and is recorded in `events`. Drift alone triggers nothing.
The rate table replaces a champion that is too old (`DEPOSIT_EXPIRY__REPLACE_AFTER`), which triggers `deposit_release`.
A run replaces the results of earlier runs for its months. With `period`, it monitors only that month or day.
"""

from typing import Any

from airflow.sdk import Param, dag, task

from deposit.tasks import SKIP
from deposit_defaults import CHAMPION, DECAY, DEFAULTS, MODELS, MONTH_OR_DAY, param


@task.external_python(**MODELS)
def monitor(period: str | None, day: str) -> list[str]:
    """Monitor the months that are due on a day, or the given period, and return them."""
    import datetime

    from deposit.data.period import periods_due
    from deposit.monitoring.monitor import monitor
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings()
        periods = [period] if period else periods_due(datetime.date.fromisoformat(day))
        return [monitor(settings, each).period for each in periods]


@task.external_python(**MODELS)
def report(periods: list[str]) -> list[str]:
    """Write the reports of these periods, and return their URIs."""
    from deposit.monitoring.reporting import write_reports
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings()
        return [report.uri for period in periods for report in write_reports(settings, period)]


@task.external_python(**MODELS, outlets=[DECAY], skip_on_exit_code=SKIP)
def alarm(periods: list[str], day: str) -> list[str]:
    """Request a retraining if a model has decayed, and return the periods; skipped if none has, or in the cool-down."""
    import datetime

    from deposit.loop import request_retrainings
    from deposit.settings import load_settings
    from deposit.tasks import running, skip_unless

    with running():
        decayed = request_retrainings(load_settings(), periods, datetime.date.fromisoformat(day))
        skip_unless(bool(decayed))
        return decayed


@task.external_python(**MODELS, outlets=[CHAMPION], skip_on_exit_code=SKIP)
def replace_expired(day: str) -> str:
    """Promote the rate table if the champion is too old, and return its model id; skipped otherwise."""
    from deposit.loop import replace_expired
    from deposit.settings import load_settings
    from deposit.tasks import running, skip_unless

    with running():
        selection = replace_expired(load_settings(), day[:7])
        skip_unless(selection is not None)
        return selection.model_id if selection else ""


@dag(
    **DEFAULTS,
    schedule="0 2 * * *",
    doc_md=__doc__,
    params={
        "period": Param(
            None,
            type=["null", "string"],
            pattern=MONTH_OR_DAY,
            description="A month or a day, like 2010-05 or 2010-05-17; empty means the months that are due.",
        ),
    },
)
def deposit_monitor() -> None:
    """Monitor, then write reports and request retrainings; independently, replace an expired champion."""
    day = "{{ dag_run.run_after.date().isoformat() }}"
    periods: Any = monitor(param("period"), day)
    report(periods)
    alarm(periods, day)
    replace_expired(day)


deposit_monitor()
