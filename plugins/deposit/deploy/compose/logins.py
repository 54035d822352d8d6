"""Print the addresses, users, passwords and API keys of a stack with Docker Compose.

Run it as `python -m deposit.deploy.compose.logins` in a container with the vault; it prints secrets.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from deposit import console
from deposit.deploy.airflow import ADMIN as AIRFLOW_ADMIN
from deposit.deploy.bucket_policies import ADMIN as STORE_ADMIN
from deposit.deploy.compose.addresses import publication, urls
from deposit.deploy.compose.secrets import ROOT, vault
from deposit.deploy.credentials import Credentials, stored_credentials
from deposit.release.published_uis import USER as UI_USER
from deposit.settings import open_settings

GRAFANA_ADMIN = "admin"
HANDED_OUT = {"marketing": "predict, rank, state outcomes", "admin": "all, and send past or trial requests"}
"""API keys that are meant for people, and what each may do."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def logins(addresses: dict[str, str], secrets: Credentials) -> dict[str, dict[str, str]]:
    """The URL of each service with its user and password; for the API, its keys by name."""
    by_part = {
        "api": {"marketing": secrets.api_marketing, "admin": secrets.api_admin},
        "airflow": {"user": AIRFLOW_ADMIN, "password": secrets.airflow_admin},
        "grafana": {"user": GRAFANA_ADMIN, "password": secrets.grafana_admin},
        "store": {"user": STORE_ADMIN, "password": secrets.store_admin},
        "mlflow": {"user": UI_USER, "password": secrets.gateway_admin},
        "evidently": {"user": UI_USER, "password": secrets.gateway_admin},
        "dask": {"user": UI_USER, "password": secrets.gateway_admin},
    }
    return {part: {"url": addresses[part], **login} for part, login in by_part.items() if part in addresses}


@app.command()
def main(
    root: Annotated[Path, typer.Option(help="Folder of the vault.")] = ROOT,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Print the logins and API keys of a stack with Docker Compose."""
    published = publication(os.environ)
    settings = open_settings()
    addresses = urls(settings.gateway, settings.links, settings.stack, published)
    if not published.object_store:
        del addresses["store"]
    by_part = logins(addresses, stored_credentials(vault(root)))
    if as_json:
        console.json(by_part)
        return
    console.table("Logins", ["part", "address", "user", "password"], _rows(by_part))
    console.out.print()
    keys = [[name, by_part["api"][name], may] for name, may in HANDED_OUT.items()]
    console.table("API keys, for the page and for `Authorization: Bearer <key>`", ["name", "key", "may"], keys)
    console.out.print(
        "\nThe stack was created with these keys and with Grafana's password: `deposit keys list` shows which keys are "
        "valid now, and Grafana keeps a password that was changed in its UI."
    )


def _rows(by_part: dict[str, dict[str, str]]) -> list[list[Any]]:
    names = {
        "api": "API and page", "store": "object store", "mlflow": "MLflow",
        "evidently": "Evidently, if it runs", "dask": "Dask, if it runs",
    }  # fmt: skip
    instead = {"api": "a key, see below"}
    return [
        [names.get(part, part.capitalize()), login["url"], login.get("user"), login.get("password", instead.get(part))]
        for part, login in by_part.items()
    ]


if __name__ == "__main__":
    console.run(app)
