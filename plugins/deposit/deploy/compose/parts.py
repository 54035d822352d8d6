"""Which part gets which secrets, in which files, as which user; each sees its own folder alone."""

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
"""Users that the images' programs run as."""
LINKED = ("api", "mlflow", "grafana", "store")
"""The settings under `links`."""
_MOUNTED = Path("/run/deposit")
"""Where each part sees its folder."""


@dataclass(frozen=True)
class ServiceSecrets:
    """One part's files by name, and the user who alone may read them."""

    name: str
    user: int
    files: dict[str, str] = field(repr=False)


def service_secrets(store: StoreSettings, secrets: Credentials, links: Mapping[str, str]) -> list[ServiceSecrets]:
    """Every part with the secrets that it needs, and no other; Airflow with its links' addresses as well."""
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
    """MinIO reads its administrator's key; SeaweedFS reads everybody's, with what each may do."""
    return {
        "root_user": STORE_ADMIN,
        "root_password": secrets.store_admin,
        "identities.json": objectstore.identities_file(objectstore.identities(store, secrets)),
        **objectstore.files(_MOUNTED, secrets.store_admin),
    }


def _mlflow(secrets: Credentials) -> dict[str, str]:
    """A password file of libpq and a credentials file of AWS: neither is on a command line or in a URL."""
    key = f"aws_access_key_id = mlflow\naws_secret_access_key = {secrets.store_mlflow}"
    return {
        "pgpass": f"{addresses.POSTGRES}:mlflow:mlflow:{secrets.postgres_mlflow}\n",
        "aws_credentials": f"[default]\n{key}\n",
    }


def _airflow(store: StoreSettings, secrets: Credentials) -> dict[str, str]:
    """Airflow's own secrets, and those that its tasks work with."""
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
    """A broker that keeps nothing: messages that it loses, Airflow sends again."""
    return f'bind * -::*\nrequirepass {secrets.redis}\nsave ""\nappendonly no\n'


def _owner(secrets: Credentials) -> str:
    return database_url(addresses.POSTGRES, OWNER, secrets.postgres_deposit)
