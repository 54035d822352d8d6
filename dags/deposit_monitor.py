"""### Monitor

Every night: counts in PostgreSQL what each model predicted in the month of the day before and in the two months before
that (outcomes come late), compares it with what the model was trained on and with how good it was to be expected, and
keeps every figure and a **verdict** by model in the table `metrics`: stable, population shift, decay, or data fault.
Then it writes Evidently's report of each. A decay raises the asset `deposit_decay`, which has `deposit_train` look for
a better model at once, but not again while the cool-down lasts; a row in `events` says so. Drift alone raises nothing.
The rate table replaces a champion that is too old (`DEPOSIT_EXPIRY__REPLACE_AFTER`): `deposit_release` follows.
A run replaces what an earlier one stored of its months. With `period`, that month or day alone.
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
    """Write what a person reads about each of these periods, and return where it is."""
    from deposit.monitoring.reporting import write_reports
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings()
        return [report.uri for period in periods for report in write_reports(settings, period)]


@task.external_python(**MODELS, outlets=[DECAY], skip_on_exit_code=SKIP)
def alarm(periods: list[str], day: str) -> list[str]:
    """Request a retraining where a model has decayed; skipped if none has, or while the cool-down lasts."""
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
    """Make the rate table champion if the champion is too old, and return its model id; else skipped."""
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
    """Monitor, then report, and raise the alarm if a model has decayed; beside it, replace a champion that expired."""
    day = "{{ dag_run.run_after.date().isoformat() }}"
    periods: Any = monitor(param("period"), day)
    report(periods)
    alarm(periods, day)
    replace_expired(day)


deposit_monitor()
