"""Commands that make models: ingest, train, select, models."""

from pathlib import Path
from typing import Annotated

import typer

from deposit import console
from deposit.cli.options import AsJson
from deposit.settings import load_settings


def ingest(
    source: Annotated[str | None, typer.Option(help="bundled, uci, kaggle, file or postgres.")] = None,
    path: Annotated[Path | None, typer.Option(help="The file, for source `file`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the campaign history, check it, and publish it as a dataset version."""
    from deposit.data.ingest import ingest as run

    settings = load_settings().changed(
        "ingest", source=source or ("file" if path else None), path=path.resolve() if path else None
    )
    with console.progress() as progress:
        result = run(settings, progress)
    if as_json:
        console.json(result)
        return
    verb = "published" if result.created else "already there:"
    console.out.print(
        f"{verb} dataset [bold]{result.version}[/] with {result.rows:,} rows, {result.first_period} to "
        f"{result.last_period}; {result.rejected:,} rejected"
    )


def train(
    dataset: Annotated[str | None, typer.Option(help="Dataset version; the one ingested last if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train and tune the candidates on a dataset version and log them to MLflow."""
    from deposit.model.training import train as run
    from deposit.monitoring.verdicts import months_to_leave_out

    settings = load_settings()
    with console.progress() as progress:
        result = run(settings, dataset, months_to_leave_out(settings), progress)
    if as_json:
        console.json(result)
        return
    from deposit.model.report import print_training

    print_training(result)


def select(
    training: Annotated[str | None, typer.Option(help="MLflow run of the training; the newest if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the challenger with today's champion and make it champion if it has earned it."""
    from deposit.release.steps import challenge

    with console.progress() as progress:
        result = challenge(load_settings(), training, progress)
    if as_json:
        console.json(result)
        return
    from deposit.model.report import print_selection

    print_selection(result)


def models(as_json: AsJson = False) -> None:
    """List the registered models with their out-of-time metrics."""
    from deposit.model import registry

    found = registry.versions(load_settings())
    if as_json:
        console.json(found)
        return
    console.table(
        "Registered models (metrics on their out-of-time windows)",
        ["model", "is", "created", "dataset", "ROC AUC", "log loss"],
        [
            [
                version.model_id,
                ", ".join(version.aliases),
                version.created,
                version.dataset,
                f"{version.metrics['roc_auc']:.3f}",
                f"{version.metrics['log_loss']:.3f}",
            ]
            for version in found
        ],
    )
