"""Commands that train and use models: ingest, train, evaluate, select, promote, score, models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deposit import console
from deposit.console import AsJson
from deposit.sections import Rule
from deposit.settings import load_settings

if TYPE_CHECKING:
    from deposit.scoring.score import ScoreResult


def ingest(
    source: Annotated[str | None, typer.Option(help="bundled, uci, kaggle, file, s3 or postgres.")] = None,
    path: Annotated[Path | None, typer.Option(help="The file, for source `file`.")] = None,
    charset: Annotated[str | None, typer.Option(help="Charset of a text file, such as windows-1252.")] = None,
    first_year: Annotated[
        int | None, typer.Option(help="Year of the first row, if rows have neither `period` nor `date`.")
    ] = None,
    accept: Annotated[
        list[Rule] | None, typer.Option(help="A check of the months that may fail: the file is right all the same.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read the campaign history, check it, and publish it as a dataset version."""
    from deposit.data.ingest import ingest as run

    settings = load_settings().changed(
        "ingest",
        source=source or ("file" if path else None),
        path=path.resolve() if path else None,
        charset=charset,
        first_year=first_year,
        accept=accept or None,
    )
    with console.progress() as progress:
        result = run(settings, progress)
    if as_json:
        console.json(result)
        return
    verb = "published" if result.created else "already there:"
    console.out.print(
        f"{verb} dataset [bold]{result.version}[/] with {result.rows:,} rows, {result.first_period} to "
        f"{result.last_period}; {result.rejected:,} rejected (read from line {result.first_line:,} to line "
        f"{result.last_line:,})"
    )
    for row in result.rejections:
        console.out.print(f"  line {row.line}: {row.reason}", markup=False)
    if result.quarantine_uri:
        console.out.print(f"  all of them with their reasons: {result.quarantine_uri}", markup=False)


def train(
    dataset: Annotated[str | None, typer.Option(help="Dataset version; the one ingested last if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit the recipes and their mixture on a dataset version and log them to MLflow."""
    from deposit.loop import train as run

    with console.progress() as progress:
        result = run(load_settings(), dataset, progress)
    if as_json:
        console.json(result)
        return
    from deposit.selection.report import print_training, print_worth

    print_training(result)
    print_worth(result)


def evaluate(
    dataset: Annotated[str | None, typer.Option(help="Dataset version; the one ingested last if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Backtest the refit policy and each recipe: each month is scored by models of the labelled months before it."""
    from deposit.loop import evaluate as run

    with console.progress() as progress:
        result = run(load_settings(), dataset, progress)
    if as_json:
        console.json(result)
        return
    from deposit.selection.report import print_evaluation

    print_evaluation(result)


def select(
    training: Annotated[
        str | None,
        typer.Option(
            help="MLflow run of the training; else the newest with these settings on the dataset ingested last."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the challenger with the current champion, and promote it if it passes the gate."""
    from deposit.loop import challenge

    with console.progress() as progress:
        result = challenge(load_settings(), training, progress)
    if as_json:
        console.json(result)
        return
    from deposit.selection.report import print_selection

    print_selection(result)


def promote(
    model: Annotated[str, typer.Argument(help="Model id like deposit-v3.")],
    reason: Annotated[str | None, typer.Option(help="Reason, for the record.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model the champion without the gate, as when the champion's months were dated wrongly."""
    from deposit.selection.selection import promote as run

    result = run(load_settings(), model, reason)
    if as_json:
        console.json(result)
        return
    from deposit.selection.report import print_selection

    print_selection(result)
    console.out.print("`deposit release` deploys it")


def models(as_json: AsJson = False) -> None:
    """List the registered models with their out-of-time metrics."""
    from deposit.registry.versions import RegisteredVersions

    versions = RegisteredVersions(load_settings()).versions()
    if as_json:
        console.json(versions)
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
                console.shown(version.metrics.get("roc_auc")),
                console.shown(version.metrics.get("log_loss")),
            ]
            for version in versions
        ],
    )


def score(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="A file, a folder or a pattern, here or as s3://bucket/…: Parquet or CSV."),
    ],
    output: Annotated[str, typer.Argument(metavar="OUT", help="Folder of the results, here or as s3://bucket/….")],
    model: Annotated[str | None, typer.Option(help="Model id like deposit-v3; the champion if not given.")] = None,
    period: Annotated[
        str | None, typer.Option(help="Month or day under which predictions are logged; now if not given.")
    ] = None,
    charset: Annotated[
        str | None,
        typer.Option(help="Charset of text files, such as windows-1252; else DEPOSIT_SCORE__CHARSET."),
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Add the rows to `predictions`; else as DEPOSIT_SCORE__LOG says."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of another run.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Start an unfinished run from the beginning.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score all rows of any number of files, and write them ranked as Parquet."""
    from deposit.scoring.score import ScoreRequest
    from deposit.scoring.score import score as run

    request = ScoreRequest(source, output, model, period, overwrite, restart)
    with console.progress() as progress:
        result = run(load_settings().changed("score", log=log, charset=charset), request, progress)
    if as_json:
        console.json(result)
        return
    _print_score(result)


def _print_score(result: "ScoreResult") -> None:
    console.out.print(
        f"{'scored' if result.created else 'there already:'} [bold]{result.rows:,}[/] rows by {result.model_id}, "
        f"{result.rejected:,} rejected; {result.expected_subscriptions:,.0f} subscriptions expected if all are called, "
        f"{result.worth_calling:,} are worth the call"
    )
    if result.created:
        rate = result.rows / result.seconds
        console.out.print(f"{result.seconds:,.1f} s, {rate:,.0f} rows/s{'; logged' if result.logged else ''}")
    files = "1 file" if result.parts == 1 else f"{result.parts} files"
    console.out.print(f"{files}, best first: {result.output}", markup=False)
    if result.readings:
        from deposit.data.readings import spellings

        console.out.print(spellings(result.readings), markup=False)
    if result.quarantine:
        console.out.print(f"rejected rows with their reasons: {result.quarantine}", markup=False)
