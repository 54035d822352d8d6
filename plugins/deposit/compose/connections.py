"""Airflow's connections, as `airflow connections import` takes them."""

import json
from typing import Any
from urllib.parse import urlsplit

from deposit.compose import addresses
from deposit.sections import StoreSettings
from deposit.stack.credentials import Credentials
from deposit.stack.servers import READER


def connections(store: StoreSettings, secrets: Credentials) -> str:
    """JSON of all connections; holds secrets, each of the least that the connection needs."""
    database, database_port = addresses.POSTGRES.split(":")
    found = {
        "deposit_postgres": {
            "conn_type": "postgres",
            "description": "Predictions, outcomes, releases, metrics: to read",
            "host": database,
            "port": int(database_port),
            "schema": "deposit",
            "login": READER,
            "password": secrets.postgres_reader,
        },
        "deposit_store": {
            "conn_type": "aws",
            "description": "The object store; this key reads and writes the tasks' logs alone",
            "login": "airflow",
            "password": secrets.store_airflow,
            "extra": json.dumps(
                {
                    "endpoint_url": addresses.STORE,
                    "region_name": store.region,
                    "config_kwargs": {"s3": {"addressing_style": "path"}},
                }
            ),
        },
        "deposit_mlflow": _http(addresses.MLFLOW, "Experiments and registry"),
        "deposit_api": _http(addresses.API, "The model's API", {"Authorization": f"Bearer {secrets.api_airflow}"}),
    }
    return json.dumps(found, indent=1)


def _http(url: str, description: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    parts = urlsplit(url)
    connection = {"conn_type": "http", "description": description, "host": f"{parts.scheme}://{parts.hostname}"}
    return {**connection, "port": parts.port, **({"extra": json.dumps(headers)} if headers else {})}
