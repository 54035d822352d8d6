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
from deposit.errors import ConfigError
from deposit.settings import load_settings, service_settings

if TYPE_CHECKING:
    from deposit.release.rows import Release
    from deposit.stack.lifecycle import Part

app = typer.Typer(
    name="deposit",
    help="Which customers to call with a term-deposit offer: ingest, train, select, release, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(name="keys", help="API keys of the service: make, list, revoke.", no_args_is_help=True)
app.add_typer(keys)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run a command of `deposit`."""
    console.run(app)


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
    from deposit.monitoring.verdicts import months_to_leave_out

    settings = load_settings()
    with console.progress() as progress:
        result = run(settings, dataset, months_to_leave_out(settings), progress)
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
    from deposit.release.steps import note_refusal

    settings = load_settings()
    with console.progress() as progress:
        result = run(settings, training, progress)
    if not result.is_champion:
        note_refusal(settings, result.model_id, result.reason)
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
def monitor(
    period: Annotated[str | None, typer.Option(help="Month, like 2010-05; the last three if not given.")] = None,
    date: Annotated[str | None, typer.Option(help="Day, like 2010-05-17.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what was predicted with what the models were trained on, judge it, and write reports."""
    from datetime import UTC, datetime

    from deposit.monitoring.monitor import monitor as run
    from deposit.monitoring.reporting import write_reports
    from deposit.monitoring.span import due

    if period and date:
        raise ConfigError("--period and --date are two periods: give one")
    one, settings = period or date, load_settings()
    with console.progress() as progress:
        results = [run(settings, each, progress) for each in ([one] if one else due(datetime.now(UTC).date()))]
        for found in results:
            write_reports(settings, found.period, progress)
    if as_json:
        console.json(results)
        return
    rows = [
        [found.period, model.model_id, f"{model.rows:,}", model.verdict, model.sentence]
        for found in results
        for model in found.models
    ]
    console.table("Verdicts", ["period", "model", "predictions", "verdict", "why"], rows)


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from", help="First month, like 2008-11.")] = "2008-11",
    last: Annotated[str, typer.Option("--to", help="Last month, like 2010-11.")] = "2010-11",
    as_json: AsJson = False,
) -> None:
    """Two years of production in minutes, on the running stack: score, tell outcomes, monitor, learn, release."""
    from deposit.replay.chart import shown
    from deposit.replay.run import replay as run

    with console.progress() as progress:
        result = run(load_settings(), first, last, progress)
    if as_json:
        console.json(result)
        return
    columns = ["period", "model_id", "rows", "rate", "roc_auc", "lift_10", "profit", "profit_call_everyone", "verdict",
               "action"]  # fmt: skip
    cells = [[shown(getattr(month, column)) for column in columns] for month in result.months]
    console.table("Replayed", [column.replace("_", " ") for column in columns], cells)
    console.out.print(f"chart: {result.chart}")


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
    run(load_settings(), _stop_on_signal())


@app.command()
def shipper() -> None:
    """Move predictions and outcomes from the spool to PostgreSQL until stopped."""
    from deposit.monitoring.shipper import run

    logging.getLogger("deposit").setLevel(logging.INFO)
    # the environment alone: the stack's settings hold the owner's password, which this part must not have
    run(service_settings(), _stop_on_signal())


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


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who will use it; stands in logs.")],
    role: Annotated[list[str], typer.Option(help="predict, outcomes or admin; may be given again.")],
    rate: Annotated[float | None, typer.Option(help="Requests a second, 0 for no limit; else the setting's.")] = None,
    max_body: Annotated[int | None, typer.Option(help="Largest body in bytes; else the routes' own limits.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is shown once and kept nowhere."""
    from deposit.keys import add

    made, secret = add(_keys_file(), name, role, rate, max_body)
    if as_json:
        console.json({"name": made.name, "roles": made.roles, "key": secret})
        return
    console.err.print(f"key [bold]{made.name}[/] for {', '.join(made.roles)}; it is not shown again:")
    typer.echo(secret)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys by name; the keys themselves are kept nowhere."""
    from deposit.keys import read

    found = read(_keys_file())
    fields = ("name", "roles", "created", "rate_per_second", "max_body_bytes")
    if as_json:
        console.json(
            {"open": found.open, "keys": [{name: getattr(key, name) for name in fields} for key in found.keys]}
        )
        return
    rows = [
        [key.name, ", ".join(key.roles), key.created, key.rate_per_second, key.max_body_bytes] for key in found.keys
    ]
    title = "No key is needed until the first is made" if found.open else "API keys"
    console.table(title, ["name", "roles", "created", "requests a second", "largest body"], rows)


@keys.command("remove")
def remove_key(
    name: Annotated[str, typer.Argument(help="As `deposit keys list` shows it.")], as_json: AsJson = False
) -> None:
    """Revoke a key; services refuse it within two seconds."""
    from deposit.keys import remove

    gone = remove(_keys_file(), name)
    if as_json:
        console.json({"name": gone.name, "removed": True})
        return
    console.out.print(f"revoked key [bold]{gone.name}[/]")


def _keys_file() -> Path:
    path = load_settings().serve.keys_file
    if path is None:
        raise ConfigError(
            "DEPOSIT_SERVE__KEYS_FILE is not set, so no key is needed: start the stack (`deposit up`) or set it"
        )
    return path


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


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
