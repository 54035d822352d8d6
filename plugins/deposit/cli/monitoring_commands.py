"""Commands that work on logged predictions: monitor, archive, replay."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deposit import console
from deposit.console import AsJson
from deposit.errors import ConfigError
from deposit.settings import load_settings

if TYPE_CHECKING:
    from deposit.monitoring.status import PeriodAssessment


def monitor(
    period: Annotated[str | None, typer.Option(help="Month, like 2010-05; the last three if not given.")] = None,
    date: Annotated[str | None, typer.Option(help="Day, like 2010-05-17.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare logged predictions with the models' training data, assess each model, and write reports."""
    from datetime import UTC, datetime

    from deposit.data.period import periods_due
    from deposit.monitoring.reporting import monitor_and_report

    if period and date:
        raise ConfigError("--period and --date exclude each other: give only one")
    one, settings = period or date, load_settings()
    with console.progress() as progress:
        due = [one] if one else periods_due(datetime.now(UTC).date())
        results = [monitor_and_report(settings, each, progress) for each in due]
    if as_json:
        console.json([{"period": each.period, "models": [_model(model) for model in each.models]} for each in results])
        return
    rows = [
        [model.period, model.model_id, f"{model.rows:,}", model.status.title, model.reason]
        for result in results
        for model in result.models
    ]
    console.table("Verdicts", ["period", "model", "predictions", "verdict", "why"], rows)


def _model(assessment: "PeriodAssessment") -> dict[str, Any]:
    return {
        "model_id": assessment.model_id,
        "rows": assessment.rows,
        "verdict": assessment.status.title,
        "sentence": assessment.reason,
    }


def archive(
    month: Annotated[
        str | None, typer.Option(help="Month, like 2010-05; every month that is old enough if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move months of predictions from PostgreSQL to Parquet in the object store; monitoring reads them there."""
    from deposit.log.archiver import archive_months

    with console.progress() as progress:
        months = archive_months(load_settings(), month, progress)
    if as_json:
        console.json(months)
        return
    rows = [
        [each.month, f"{each.rows:,}", f"{each.size / 2**20:,.1f}", str(each.days), each.refusal or ""]
        for each in months
    ]
    console.table("Archived", ["month", "rows", "MiB", "days dropped", "what stays, and why"], rows)


def replay(
    first: Annotated[str, typer.Option("--from", help="First month, like 2008-11.")] = "2008-11",
    last: Annotated[str, typer.Option("--to", help="Last month, like 2010-11.")] = "2010-11",
    training: Annotated[
        bool, typer.Option("--training/--no-training", help="Whether new labels train a new model each month.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Replay two years of production in minutes, on the running stack: score, label, monitor, train, release."""
    import signal

    from deposit.replay.replay import replay as run

    # raise KeyboardInterrupt, as Ctrl-C does, so that the replay returns production's traffic at once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with console.progress() as progress:
        result = run(load_settings(), first, last, training, progress)
    if as_json:
        console.json(result)
        return
    columns = ["period", "model_id", "rows", "rate", "roc_auc", "lift_10", "profit", "profit_call_everyone", "verdict",
               "stale", "action"]  # fmt: skip
    cells = [[console.shown(getattr(month, column)) for column in columns] for month in result.months]
    console.table("Replayed", [column.replace("_", " ") for column in columns], cells)
    console.out.print(f"chart: {result.chart}")
