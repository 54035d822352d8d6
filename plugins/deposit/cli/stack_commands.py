"""Commands for the stack without Docker: up, down, status, env, credentials, doctor, demo."""

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, ParamSpec

import typer

from deposit import console
from deposit.console import AsJson
from deposit.deploy.layout import Layout
from deposit.errors import ConfigError
from deposit.settings import chosen_settings, load_settings

if TYPE_CHECKING:
    from deposit.deploy.local.lifecycle import ServiceStatus

P = ParamSpec("P")


def _only_without_docker(command: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command to raise ConfigError in an image, where this stack is not installed."""

    @wraps(command)
    def guarded(*arguments: P.args, **options: P.kwargs) -> None:
        if find_spec("supervisor") is None:
            raise ConfigError(
                f"`deposit {command.__name__}` is for the stack without Docker, which is not installed here: "
                "with Docker, use `make up`, `make down` and `docker compose ps`"
            )
        command(*arguments, **options)

    return guarded


@_only_without_docker
def up(as_json: AsJson = False) -> None:
    """Start the stack without Docker and wait until it is ready."""
    from deposit.deploy.local import lifecycle

    with console.progress() as progress:
        parts = lifecycle.up(chosen_settings(), progress)
    _print_status(parts, as_json)


@_only_without_docker
def down() -> None:
    """Stop the stack; its data stays."""
    from deposit.deploy.local import lifecycle

    with console.progress() as progress:
        lifecycle.down(Layout(load_settings().state.root), progress)


@_only_without_docker
def status(as_json: AsJson = False) -> None:
    """Show the state, pid and URL of each service."""
    from deposit.deploy.local import lifecycle

    _print_status(lifecycle.status(load_settings()), as_json)


@_only_without_docker
def env() -> None:
    """Print the running stack's settings as KEY=VALUE, including secrets."""
    from deposit.deploy.local import lifecycle

    for name, value in lifecycle.environment(load_settings()).items():
        typer.echo(f"{name}={value}")


@_only_without_docker
def credentials() -> None:
    """Print the running stack's URLs and logins, as `make credentials` does with Docker."""
    from deposit.deploy.local import lifecycle
    from deposit.deploy.local.demo import print_logins

    settings = load_settings()
    print_logins(settings, lifecycle.status(settings))
    console.out.print("API keys: `deposit keys list` shows their names; none is required until one is added.")


@_only_without_docker
def doctor(as_json: AsJson = False) -> None:
    """Check the machine and the running stack, and say what to do about each problem."""
    from deposit.deploy.local.doctor import examine

    findings = examine(load_settings())
    if as_json:
        console.json(findings)
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]fail[/]"
            console.out.print(f"{mark} {finding.what}: {finding.detail}", soft_wrap=True)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@_only_without_docker
def demo() -> None:
    """Start the stack and run the DAGs on the real data until a champion is served."""
    from deposit.deploy.local.demo import run

    run(chosen_settings())


def _print_status(parts: "list[ServiceStatus]", as_json: bool) -> None:
    if as_json:
        console.json(parts)
        return
    console.table(
        "The stack",
        ["part", "state", "pid", "url", "what"],
        [[part.name, part.state, part.pid, part.url, part.what] for part in parts],
    )
    from deposit.deploy.local import lifecycle

    settings = load_settings()
    console.out.print(lifecycle.dashboards(settings.stack, Layout(settings.state.root), parts))
