"""The one-shot service `init`: databases, roles, schema, buckets, the object store's users, the gateway's files.

Run it as `python -m deposit.deploy.compose.preparation`; it is idempotent and may be killed at any time.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deposit import console
from deposit.deploy import bucket_policies, servers
from deposit.deploy.bucket_policies import grants
from deposit.deploy.compose import addresses
from deposit.deploy.compose.secrets import ROOT, vault
from deposit.deploy.credentials import Credentials, admit_to_uis, stored_credentials
from deposit.deploy.rds import prepare_rds
from deposit.progress import OnChange, Progress, log_progress
from deposit.release.gateway import Gateway
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.settings import load_settings
from deposit.store import ObjectStore
from deposit.waiting import retry_while_down

TIMEOUT = 90.0
"""Seconds within which a server must accept a request."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Store(StrEnum):
    """The object store's server; SeaweedFS reads its keys from a file that `deposit.deploy.compose.secrets` writes.

    With S3 the database is on RDS; the stack then runs neither of them, and finds both by its settings.
    """

    MINIO = "minio"
    SEAWEEDFS = "seaweedfs"
    S3 = "s3"


def prepare(
    buckets: StoreSettings,
    gateway: Gateway,
    secrets: Credentials,
    store: Store,
    postgres: str = addresses.POSTGRES,
    object_store: str = addresses.STORE,
    progress: Progress = log_progress,
) -> None:
    """Prepare empty servers for the stack, or upgrade used ones to this version.

    Raises UpstreamError if a server does not answer in time or refuses.
    """
    progress(f"databases, roles and schema in PostgreSQL at {postgres}")
    retry_while_down(lambda: servers.prepare_databases(postgres, secrets), TIMEOUT)
    progress(f"buckets in the object store at {object_store}")
    retry_while_down(lambda: servers.prepare_buckets(buckets, object_store, secrets), TIMEOUT)
    if store is Store.MINIO:
        granted = grants(buckets, secrets)
        progress(f"users of MinIO: {', '.join(grant.name for grant in granted)}")
        retry_while_down(lambda: bucket_policies.ensure_users(object_store, secrets.store_admin, granted), TIMEOUT)
    prepare_gateway(gateway, secrets, progress)
    progress("prepared")


def prepare_gateway(gateway: Gateway, secrets: Credentials, progress: Progress = log_progress) -> None:
    """Write the files that Caddy reads when it starts, including the login of the UIs."""
    progress("the gateway's configuration")
    admit_to_uis(gateway.login_file, secrets.gateway_admin)
    gateway.prepare()


def prepare_aws(database: DatabaseSettings, store: StoreSettings, progress: Progress = log_progress) -> None:
    """Prepare RDS and S3 for the stack. Raises ConfigError or UpstreamError."""
    step = OnChange(progress)  # reports a step once, however often it is retried
    retry_while_down(lambda: prepare_rds(database, step), TIMEOUT)
    progress(f"buckets in S3: {', '.join(ObjectStore(store).buckets())}")
    ObjectStore(store).ensure_buckets()


@app.command()
def main(
    store: Annotated[Store, typer.Option(help="Server of the object store.")] = Store.MINIO,
    root: Annotated[Path, typer.Option(help="Folder of the vault.")] = ROOT,
    postgres: Annotated[str, typer.Option(help="PostgreSQL as host:port.")] = addresses.POSTGRES,
    object_store: Annotated[str, typer.Option(help="URL of the object store.")] = addresses.STORE,
) -> None:
    """Prepare the servers of a stack with Docker Compose."""
    with console.progress() as progress:
        settings, secrets = load_settings(), stored_credentials(vault(root))
        if store is Store.S3:
            prepare_aws(settings.database, settings.store, progress)
            prepare_gateway(Gateway(settings), secrets, progress)
        else:
            prepare(settings.store, Gateway(settings), secrets, store, postgres, object_store, progress)


if __name__ == "__main__":
    console.run(app)
