"""MLflow's server as a compose service. Run it as `python -m deposit.deploy.compose.mlflow`.

It accepts only the host name that the other services, the gateway among them, use for it.
"""

import json
import os
from urllib.parse import urlsplit

import typer

from deposit import console
from deposit.deploy.compose import addresses
from deposit.deploy.rds_urls import Driver, driver_url
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.settings import load_settings

PORT = 5000
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def command(store: StoreSettings) -> list[str]:
    """The command line of MLflow's server."""
    return [
        "mlflow",
        "server",
        "--host=0.0.0.0",
        f"--port={PORT}",
        "--workers=1",
        "--serve-artifacts",
        f"--artifacts-destination=s3://{store.mlflow_bucket}",
        f"--allowed-hosts={urlsplit(addresses.MLFLOW).netloc}",
    ]


def variables(store: StoreSettings, database: DatabaseSettings) -> dict[str, str]:
    """Environment variables of MLflow's server for a database on RDS and a bucket on AWS; contains a secret."""
    environment = {"AWS_DEFAULT_REGION": store.region}
    if database.mlflow_url:
        environment["MLFLOW_BACKEND_STORE_URI"] = driver_url(
            database.mlflow_url, "DEPOSIT_DATABASE__MLFLOW_URL", Driver.PSYCOPG, database
        )
    if store.kms_key:
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": store.kms_key}
        environment["MLFLOW_S3_UPLOAD_EXTRA_ARGS"] = json.dumps(encryption)
    return environment


@app.command()
def main() -> None:
    """Run MLflow's server of a stack with Docker Compose, in place of this process."""
    settings = load_settings()
    line = command(settings.store)
    os.execvpe(line[0], line, os.environ | variables(settings.store, settings.database))  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    console.run(app)
