"""The secret files of each compose service, and the user that may read them; a service sees only its own folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deposit import keys
from deposit.deploy import objectstore
from deposit.deploy.airflow import ADMIN as AIRFLOW_ADMIN
from deposit.deploy.bucket_policies import ADMIN as STORE_ADMIN
from deposit.deploy.compose import addresses
from deposit.deploy.compose.addresses import connections
from deposit.deploy.credentials import Credentials
from deposit.deploy.servers import OWNER, WRITER, database_url
from deposit.sections import StoreSettings

DEPOSIT, POSTGRES, REDIS, GRAFANA = 10001, 999, 999, 472
"""User ids that the programs in the images run as."""
LINKED = ("api", "mlflow", "grafana", "store")
"""Names of the settings in the section `links`."""
_MOUNTED = Path("/run/deposit")
"""Path at which each service sees its folder."""


@dataclass(frozen=True)
class ServiceSecrets:
    """The files of one service by name, and the only user that may read them."""

    name: str
    user: int
    files: dict[str, str] = field(repr=False)


def service_secrets(store: StoreSettings, secrets: Credentials, links: Mapping[str, str]) -> list[ServiceSecrets]:
    """The files of every service: only the secrets that it needs, and for Airflow also the addresses it links to."""
    return [
        ServiceSecrets("postgres", POSTGRES, {"password": secrets.postgres_superuser}),
        ServiceSecrets("store", DEPOSIT, _store(store, secrets)),
        ServiceSecrets("mlflow", DEPOSIT, _mlflow(secrets)),
        ServiceSecrets("airflow", DEPOSIT, _airflow(store, secrets) | {f"link_{name}": links[name] for name in LINKED}),
        ServiceSecrets(
            "releaser",
            DEPOSIT,
            {
                "database_url": _owner(secrets),
                "store_secret_key": secrets.store_pipeline,
                "service_key": secrets.releaser_key,
                "serving_key_sha256": keys.digest(secrets.store_serving),
            },
        ),
        ServiceSecrets(
            "shipper", DEPOSIT, {"writer_url": database_url(addresses.POSTGRES, WRITER, secrets.postgres_writer)}
        ),
        ServiceSecrets("serving", DEPOSIT, {"store_secret_key": secrets.store_serving}),
        ServiceSecrets(
            "grafana",
            GRAFANA,
            {"admin_password": secrets.grafana_admin, "database_password": secrets.postgres_reader},
        ),
        ServiceSecrets("redis", REDIS, {"redis.conf": _redis(secrets)}),
    ]


def _store(store: StoreSettings, secrets: Credentials) -> dict[str, str]:
    """MinIO reads the administrator's key; SeaweedFS reads all keys with their rights."""
    return {
        "root_user": STORE_ADMIN,
        "root_password": secrets.store_admin,
        "identities.json": objectstore.identities_file(objectstore.identities(store, secrets)),
        **objectstore.files(_MOUNTED, secrets.store_admin),
    }


def _mlflow(secrets: Credentials) -> dict[str, str]:
    """A libpq password file and an AWS credentials file, which keep secrets out of command lines and URLs."""
    key = f"aws_access_key_id = mlflow\naws_secret_access_key = {secrets.store_mlflow}"
    return {
        "pgpass": f"{addresses.POSTGRES}:mlflow:mlflow:{secrets.postgres_mlflow}\n",
        "aws_credentials": f"[default]\n{key}\n",
    }


def _airflow(store: StoreSettings, secrets: Credentials) -> dict[str, str]:
    """Airflow's own secrets, and those of its tasks."""
    database = database_url(addresses.POSTGRES, "airflow", secrets.postgres_airflow, "airflow")
    return {
        "sql_alchemy_conn": database.replace("postgresql:", "postgresql+psycopg2:", 1),
        "result_backend": f"db+{database}",
        "broker_url": f"redis://:{secrets.redis}@{addresses.REDIS}/0",
        "fernet_key": secrets.airflow_fernet,
        "jwt_secret": secrets.airflow_jwt,
        "passwords.json": json.dumps({AIRFLOW_ADMIN: secrets.airflow_admin}),
        "connections.json": connections(store, secrets),
        "database_url": _owner(secrets),
        "store_secret_key": secrets.store_pipeline,
        "api_key": secrets.api_airflow,
    }


def _redis(secrets: Credentials) -> str:
    """Configuration of a broker without persistence: Airflow resends messages that are lost."""
    return f'bind * -::*\nrequirepass {secrets.redis}\nsave ""\nappendonly no\n'


def _owner(secrets: Credentials) -> str:
    return database_url(addresses.POSTGRES, OWNER, secrets.postgres_deposit)
