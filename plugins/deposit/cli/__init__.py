"""The command `deposit`. A command and the DAG task of the same name call the same function.

Heavy imports are inside the commands, so that `deposit --help` answers at once.
"""

import os
from typing import Annotated

import typer

from deposit import __version__, console, proxies
from deposit.cli import (
    key_commands,
    model_commands,
    monitoring_commands,
    release_commands,
    stack_commands,
)

app = typer.Typer(
    name="deposit",
    help="Which customers to call with a term-deposit offer: ingest, train, select, release, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    model_commands.ingest,
    model_commands.train,
    model_commands.evaluate,
    model_commands.select,
    model_commands.promote,
    release_commands.release,
    model_commands.score,
    monitoring_commands.monitor,
    monitoring_commands.archive,
    monitoring_commands.replay,
    release_commands.rollback,
    release_commands.releaser,
    release_commands.shipper,
    model_commands.models,
    stack_commands.up,
    stack_commands.down,
    stack_commands.status,
    stack_commands.env,
    stack_commands.credentials,
    stack_commands.doctor,
    stack_commands.demo,
):
    app.command()(command)
app.add_typer(key_commands.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deposit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command of `deposit`."""
    proxies.settle(os.environ)
    console.run(app)
