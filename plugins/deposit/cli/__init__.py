"""The command `deposit`. A command and the DAG task of the same name call the same function.

Heavy imports are inside the commands, so that `deposit --help` answers at once.
"""

import os

import typer

from deposit import console, proxies
from deposit.cli import keys, learning, releasing, stack, watching

app = typer.Typer(
    name="deposit",
    help="Which customers to call with a term-deposit offer: ingest, train, select, release, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    learning.ingest, learning.train, learning.select, learning.promote, releasing.release, watching.monitor,
    watching.replay, releasing.rollback, releasing.releaser, releasing.shipper, learning.models, stack.up, stack.down,
    stack.status, stack.env, stack.doctor, stack.demo,
):  # fmt: skip
    app.command()(command)
app.add_typer(keys.app)


def main() -> None:
    """Run a command of `deposit`."""
    proxies.settle(os.environ)
    console.run(app)
