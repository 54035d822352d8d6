"""The command that scores files: score."""

from typing import Annotated

import typer

from deposit import console
from deposit.cli.options import AsJson
from deposit.settings import load_settings


def score(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="A file, a folder or a pattern, here or as s3://bucket/…: Parquet or CSV."),
    ],
    output: Annotated[str, typer.Argument(metavar="OUT", help="Folder of the results, here or as s3://bucket/….")],
    model: Annotated[str | None, typer.Option(help="Model id like deposit-v3; the champion if not given.")] = None,
    period: Annotated[
        str | None, typer.Option(help="Month or day that logged predictions count as made in; now if not given.")
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Add the rows to `predictions`; else as DEPOSIT_SCORE__LOG says."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of another run.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin an unfinished run anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score all rows of some files, of any number, and write them ranked as Parquet."""
    from deposit.scoring.score import ScoreRequest
    from deposit.scoring.score import score as run

    request = ScoreRequest(source, output, model, period, overwrite, restart)
    with console.progress() as progress:
        result = run(load_settings().changed("score", log=log), request, progress)
    if as_json:
        console.json(result)
        return
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
    if result.quarantine:
        console.out.print(f"rejected rows with their reasons: {result.quarantine}", markup=False)
