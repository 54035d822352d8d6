"""Addresses in the stack with Docker: how the compose services reach each other, and how people reach them."""

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
    """Airflow's connections as JSON; contains secrets, each with the least rights that the connection needs."""
    by_name = {
        "deposit_store": {
            **s3_connection(store, STORE, "airflow", secrets.store_airflow),
            "description": "The object store; this key reads and writes only task logs",
        },
        "aws_default": {
            **s3_connection(store, STORE, "pipeline", secrets.store_pipeline),
            "description": "The object store; the sensor that waits for a file uses it",
        },
    }
    return json.dumps(by_name, indent=1)


_SEEN_AS_LOCALHOST = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


class Publication(Section):
    """Variables of the compose file that are not settings of ours: published addresses, and whether a store runs."""

    bind_address: str = "127.0.0.1"
    grafana_port: int = 3000
    # 0 if the object store has no console, only the S3 API
    store_console_port: int = 9001
    # whether the stack runs the object store: not if it uses AWS
    object_store: bool = True


def publication(environ: Mapping[str, str]) -> Publication:
    """Read a `Publication` from variables of the same names in capitals. Raises ConfigError naming the invalid ones."""
    values = {name: environ[name.upper()] for name in Publication.model_fields if environ.get(name.upper())}
    try:
        return Publication.model_validate(values)
    except ValidationError as error:
        names = ", ".join(str(fault["loc"][0]).upper() for fault in error.errors())
        raise ConfigError(f"invalid value of {names}: a port must be a number; correct it in .env") from error


def urls(
    gateway: GatewaySettings, links: LinksSettings, stack: StackSettings, published: Publication
) -> dict[str, str]:
    """URLs by service: those set in `links`, the others derived from the published addresses and ports."""
    host = url_host(published.bind_address)
    # the certificate is valid for these names only
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
    """The host to use in a URL on this machine for an address that a port is published on.

    >>> url_host("0.0.0.0"), url_host("192.0.2.7"), url_host("2001:db8::7")
    ('localhost', '192.0.2.7', '[2001:db8::7]')
    """
    return "localhost" if bind_address in _SEEN_AS_LOCALHOST else bracketed(bind_address)
