"""### Monitor

Every night: counts in PostgreSQL what each model predicted in the month of the day before and in the two months before
that (outcomes come late), compares it with what the model was trained on and with how good it was to be expected, and
keeps every figure and a **verdict** by model in the table `metrics`: stable, population shift, decay, or data fault.
Then it writes Evidently's report of each, for people, to the object store and to Evidently's UI.
A decay raises the asset `deposit_decay`, which has `deposit_train` look for a better model at once, but not again while
the cool-down lasts; a row in `releases` says so. Drift alone raises nothing.
A run replaces what was found of its months before. With `period`, that month or day alone.
"""

from airflow.sdk import Param, dag, task

from deposit_defaults import DECAY, DEFAULTS, MODELS, MONTH_OR_DAY, SKIP


@task.external_python(**MODELS)
def monitor(period: str | None, day: str) -> list[dict]:
    """Monitor the months that are due, or the given period."""
    import dataclasses
    import datetime

    from deposit.data.period import periods_due
    from deposit.monitoring.monitor import monitor
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        periods = [period] if period else periods_due(datetime.date.fromisoformat(day))
        return [dataclasses.asdict(monitor(load_settings(), each)) for each in periods]


@task.external_python(**MODELS)
def report(monitored: list[dict]) -> list[dict]:
    """Write what a person reads about each of these periods."""
    import dataclasses

    from deposit.monitoring.reporting import write_reports
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings = load_settings()
        written = [report for each in monitored for report in write_reports(settings, each["period"])]
        return [dataclasses.asdict(report) for report in written]


@task.external_python(**MODELS, outlets=[DECAY], skip_on_exit_code=SKIP)
def alarm(monitored: list[dict], day: str, skip: int) -> list[str]:
    """Ask for a retraining where a model has decayed; skipped if none has, or while the cool-down lasts."""
    from deposit.loop import request_retraining
    from deposit.monitoring.status import PeriodStatus
    from deposit.settings import load_settings
    from deposit.tasks import running

    with running():
        settings, asked = load_settings(), []
        for period in monitored:
            for model in period["models"]:
                why = f"{period['period']}, seen on {day}: {model['sentence']}"
                if model["verdict"] == PeriodStatus.PERFORMANCE_DEGRADED.title and request_retraining(
                    settings, model["model_id"], why
                ):
                    asked.append(why)
        if not asked:
            raise SystemExit(skip)
        return asked


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
    """Monitor, then report, and raise the alarm if a model has decayed."""
    day = "{{ dag_run.run_after.date().isoformat() }}"
    monitored = monitor("{{ params.period }}", day)
    report(monitored)
    alarm(monitored, day, SKIP)


deposit_monitor()
