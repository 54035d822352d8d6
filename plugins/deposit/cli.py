"""The command `deposit`. A command and the DAG task of the same name call the same function.

Heavy imports are inside the commands, so that `deposit --help` answers at once.
"""

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deposit import console
from deposit.errors import DepositError
from deposit.settings import load_settings

if TYPE_CHECKING:
    from deposit.release.rows import Release
    from deposit.stack.lifecycle import Part

app = typer.Typer(
    name="deposit",
    help="Which customers to call with a term-deposit offer: ingest, train, select, release, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run a command; our own errors become one line and exit code 1, anything else keeps its trace."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except DepositError as error:
        console.error(str(error))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        console.error("interrupted; run the command again to go on")
        raise SystemExit(130) from None


@app.command()
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


@app.command()
def train(
    dataset: Annotated[str | None, typer.Option(help="Dataset version; the one ingested last if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train and tune the candidates on a dataset version and log them to MLflow."""
    from deposit.model.training import train as run

    with console.progress() as progress:
        result = run(load_settings(), dataset, progress)
    if as_json:
        console.json(result)
        return
    from deposit.model.report import print_training

    print_training(result)


@app.command()
def select(
    training: Annotated[str | None, typer.Option(help="MLflow run of the training; the newest if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the challenger with today's champion and make it champion if it has earned it."""
    from deposit.model.selection import select as run

    with console.progress() as progress:
        result = run(load_settings(), training, progress)
    if as_json:
        console.json(result)
        return
    from deposit.model.report import print_selection

    print_selection(result)


@app.command()
def release(
    model: Annotated[str | None, typer.Option(help="Model id like deposit-v3; the champion if not given.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the releaser's outcome.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Package the champion and ask for its release."""
    from deposit.release import requests

    settings = load_settings()
    with console.progress() as progress:
        asked = requests.request_release(settings, model, progress)
        done = requests.wait(settings, asked.id, timeout, progress) if wait else asked
    _tell_release(done, as_json)


@app.command()
def rollback(
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Put the model that served before back to traffic."""
    from deposit.release import requests

    settings = load_settings()
    with console.progress() as progress:
        done = requests.wait(settings, requests.request_rollback(settings).id, timeout, progress)
    _tell_release(done, as_json)


@app.command()
def releaser() -> None:
    """Carry out releases until stopped: the one part with rights over services."""
    from deposit.release.reconciler import run

    logging.getLogger("deposit").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(load_settings(), stop)


@app.command()
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


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start the stack without Docker and wait until it is ready."""
    from deposit.stack import lifecycle

    with console.progress() as progress:
        parts = lifecycle.up(load_settings(), progress)
    _tell_parts(parts, as_json)


@app.command()
def down() -> None:
    """Stop the stack; its data stays."""
    from deposit.stack import lifecycle

    with console.progress() as progress:
        lifecycle.down(load_settings(), progress)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Tell of each part its state, pid and URL."""
    from deposit.stack import lifecycle

    _tell_parts(lifecycle.status(load_settings()), as_json)


@app.command()
def env() -> None:
    """Print the running stack's settings as KEY=VALUE, secrets included."""
    from deposit.stack import lifecycle

    for name, value in lifecycle.environment(load_settings()).items():
        typer.echo(f"{name}={value}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the machine and the running stack, and say what to do about what is wrong."""
    from deposit.stack.doctor import examine

    findings = examine(load_settings())
    if as_json:
        console.json(findings)
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]fail[/]"
            console.out.print(f"{mark} {finding.what}: {finding.detail}", soft_wrap=True)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def demo() -> None:
    """Bring the stack up and take the real data through to a served champion."""
    from deposit.stack.demo import run

    run(load_settings())


def _tell_release(done: "Release", as_json: bool) -> None:
    if as_json:
        console.json(done)
        return
    from deposit.release.requests import describe

    console.out.print(describe(done))


def _tell_parts(parts: "list[Part]", as_json: bool) -> None:
    if as_json:
        console.json(parts)
        return
    console.table(
        "The stack",
        ["part", "state", "pid", "url", "what"],
        [[part.name, part.state, part.pid, part.url, part.what] for part in parts],
    )
