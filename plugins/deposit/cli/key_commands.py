"""Commands for API keys: add, list, remove."""

from typing import TYPE_CHECKING, Annotated

import typer

from deposit import console
from deposit.console import AsJson
from deposit.errors import ConfigError
from deposit.settings import load_settings

if TYPE_CHECKING:
    from deposit.keys import Place

app = typer.Typer(name="keys", help="API keys of the service: create, list, revoke.", no_args_is_help=True)


@app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who will use the key; logs show this name.")],
    role: Annotated[list[str], typer.Option(help="predict, outcomes or admin; may be repeated.")],
    rate: Annotated[float | None, typer.Option(help="Requests per second, 0 for no limit; else the setting's.")] = None,
    max_body: Annotated[int | None, typer.Option(help="Largest body in bytes; else the routes' own limits.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print it; it is shown once and stored nowhere."""
    from deposit.keys import add

    key, secret = add(_keys_place(), name, role, rate, max_body)
    if as_json:
        console.json({"name": key.name, "roles": key.roles, "key": secret})
        return
    console.err.print(f"key [bold]{key.name}[/] for {', '.join(key.roles)}; it is not shown again:")
    typer.echo(secret)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys by name; the keys themselves are stored nowhere."""
    from deposit.keys import read

    file = read(_keys_place())
    fields = ("name", "roles", "created", "rate_per_second", "max_body_bytes")
    if as_json:
        console.json({"open": file.open, "keys": [{name: getattr(key, name) for name in fields} for key in file.keys]})
        return
    rows = [[key.name, ", ".join(key.roles), key.created, key.rate_per_second, key.max_body_bytes] for key in file.keys]
    title = "No key is needed until the first is added" if file.open else "API keys"
    console.table(title, ["name", "roles", "created", "requests a second", "largest body"], rows)


@app.command("remove")
def remove_key(
    name: Annotated[str, typer.Argument(help="As `deposit keys list` shows it.")], as_json: AsJson = False
) -> None:
    """Revoke a key; services refuse it within two seconds, on AWS within a minute."""
    from deposit.keys import remove

    key = remove(_keys_place(), name)
    if as_json:
        console.json({"name": key.name, "removed": True})
        return
    console.out.print(f"revoked key [bold]{key.name}[/]")


def _keys_place() -> "Place":
    from deposit.keys import place_of

    if place := place_of(load_settings().serve):
        return place
    raise ConfigError(
        "DEPOSIT_SERVE__KEYS_FILE is not set, so no key is needed: start the stack (`deposit up`) or set it; on AWS "
        "set DEPOSIT_SERVE__KEYS_SECRET_ID"
    )
