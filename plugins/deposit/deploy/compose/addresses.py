"""How the parts of the compose file reach each other: names of its services, and their ports."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from deposit.deploy.airflow import s3_connection
from deposit.deploy.credentials import Credentials
from deposit.errors import ConfigError
from deposit.sections import GatewaySettings, LinksSettings, Section, StackSettings, StoreSettings, bracketed

POSTGRES = "postgres:5432"
STORE = "http://object-store:9000"
MLFLOW = "http://mlflow:5000"
REDIS = "redis:6379"


def connections(store: StoreSettings, secrets: Credentials) -> str:
    """JSON of all connections; holds secrets, each of the least that the connection needs."""
    by_name = {
        "deposit_store": {
            **s3_connection(store, STORE, "airflow", secrets.store_airflow),
            "description": "The object store; this key reads and writes the tasks' logs alone",
        },
        "aws_default": {
            **s3_connection(store, STORE, "pipeline", secrets.store_pipeline),
            "description": "The object store; what waits for a file there asks by it",
        },
    }
    return json.dumps(by_name, indent=1)


_SEEN_AS_LOCALHOST = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104 - what people ask, not where something listens


class Publication(Section):
    """What is compose's own, no setting of ours: where ports are published, two of them, whether there is a store."""

    bind_address: str = "127.0.0.1"
    grafana_port: int = 3000
    # 0 where the object store has no console, and its S3 is all there is
    store_console_port: int = 9001
    # whether the store is a part of the stack: it is not in front of AWS
    object_store: bool = True


def publication(environ: Mapping[str, str]) -> Publication:
    """From variables by these names in capitals. Raises ConfigError naming those that are wrong."""
    values = {name: environ[name.upper()] for name in Publication.model_fields if environ.get(name.upper())}
    try:
        return Publication.model_validate(values)
    except ValidationError as error:
        names = ", ".join(str(fault["loc"][0]).upper() for fault in error.errors())
        raise ConfigError(f"{names} cannot be: a port is a number; correct it in .env") from error


def urls(
    gateway: GatewaySettings, links: LinksSettings, stack: StackSettings, published: Publication
) -> dict[str, str]:
    """Addresses by part. Those that a person set under `links` stand; the rest follows from what is published."""
    host = url_host(published.bind_address)
    # the certificate is for these names alone
    behind = f"http://{host}" if gateway.tls == "off" else f"https://{bracketed(gateway.names[0])}"
    store_port = published.store_console_port or stack.store_port
    return {
        "api": links.api or f"{behind}:{stack.gateway_port}",
        "airflow": f"http://{host}:{stack.airflow_port}",
        "mlflow": links.mlflow or f"{behind}:{stack.mlflow_port}",
        "evidently": f"{behind}:{stack.evidently_port}",
        "dask": f"{behind}:{stack.dask_port}",
        "grafana": links.grafana or f"http://{host}:{published.grafana_port}",
        "store": links.store or f"http://{host}:{store_port}",
    }


def url_host(bind_address: str) -> str:
    """The host that people of this machine write into a URL for a bound address.

    >>> url_host("0.0.0.0"), url_host("192.0.2.7"), url_host("2001:db8::7")
    ('localhost', '192.0.2.7', '[2001:db8::7]')
    """
    return "localhost" if bind_address in _SEEN_AS_LOCALHOST else bracketed(bind_address)
