"""MLflow's server as a part of the compose file. Run it as `python -m deposit.deploy.compose.mlflow`.

It answers to the names by which it is published, and to no other: a page from elsewhere could otherwise have its own
name resolve to this machine, and read the registry through a person's browser.
"""

import json
import os
from urllib.parse import urlsplit

import typer

from deposit import console
from deposit.deploy.compose import addresses
from deposit.deploy.compose.addresses import Publication, bracketed, publication
from deposit.deploy.rds_urls import Driver, driver_url
from deposit.settings import Settings, load_settings

PORT = 5000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def allowed_hosts(link: str | None, published: Publication) -> list[str]:
    """MLflow's patterns of `Host` headers: any port of this machine's own names, for tunnels end at any.

    `link` is the address that people are given, if a setting says so.
    """
    names = [bracketed(name) for name in dict.fromkeys((*_LOOPBACK, published.loopback_address))]
    linked = urlsplit(link or "").netloc
    return [
        urlsplit(addresses.MLFLOW).netloc,
        *names,
        *(f"{_literally(name)}:*" for name in names),
        *([linked] if linked else []),
    ]


def allowed_origins(link: str | None, published: Publication) -> list[str]:
    """MLflow's patterns of pages that may change something, besides this machine's own, which always may."""
    bound, linked = _literally(bracketed(published.loopback_address)), urlsplit(link or "")
    return [f"http://{bound}:*", *([f"{linked.scheme}://{linked.netloc}"] if linked.netloc else [])]


def command(settings: Settings, published: Publication) -> list[str]:
    """The command line of MLflow's server."""
    return [
        "mlflow",
        "server",
        "--host=0.0.0.0",
        f"--port={PORT}",
        "--workers=1",
        "--serve-artifacts",
        f"--artifacts-destination=s3://{settings.store.mlflow_bucket}",
        f"--allowed-hosts={','.join(allowed_hosts(settings.links.mlflow, published))}",
        f"--cors-allowed-origins={','.join(allowed_origins(settings.links.mlflow, published))}",
    ]


def variables(settings: Settings) -> dict[str, str]:
    """What MLflow's server is told by its environment where its database is on RDS, its bucket on AWS; has a secret."""
    told = {"AWS_DEFAULT_REGION": settings.store.region}
    if settings.database.mlflow_url:
        told["MLFLOW_BACKEND_STORE_URI"] = driver_url(
            settings.database.mlflow_url, "DEPOSIT_DATABASE__MLFLOW_URL", Driver.PSYCOPG, settings.database
        )
    if settings.store.kms_key:
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.store.kms_key}
        told["MLFLOW_S3_UPLOAD_EXTRA_ARGS"] = json.dumps(encryption)
    return told


def _literally(host: str) -> str:
    """For a pattern, in which `[` begins a set of characters."""
    return host.replace("[", "[[]")


@app.command()
def main() -> None:
    """Become MLflow's server of a stack with Docker Compose."""
    settings = load_settings()
    line = command(settings, publication(os.environ))
    os.execvpe(line[0], line, os.environ | variables(settings))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    console.run(app)
