"""Airflow in the stack without Docker: its environment variables, processes and database."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deposit.deploy.credentials import Credentials, write_private
from deposit.deploy.layout import AIRFLOW, Layout
from deposit.errors import ConfigError, UpstreamError
from deposit.sections import StoreSettings
from deposit.settings import REPOSITORY, Settings

ADMIN = "admin"
PARTS: dict[str, tuple[str, ...]] = {
    "api-server": (),
    # their log servers listen on all addresses; the API server reads the same files from disk
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
"""Airflow's processes with their flags."""
_FIXED = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # each worker of LocalExecutor is a process of 120 MB
    "AIRFLOW__CORE__PARALLELISM": "2",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API__INSTANCE_NAME": "deposit",
    # a task that waits longer than its token is valid is killed
    "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "86400",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    # without it, forks of a multi-threaded process abort on macOS
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
    "PYTHONUNBUFFERED": "1",
}
"""Configuration that is the same in every stack."""


def command(layout: Layout) -> list[str]:
    """The command line of Airflow's program. Raises ConfigError if its virtual environment is missing."""
    if not (AIRFLOW / "bin" / "airflow").exists():
        raise ConfigError(f"Airflow's environment {AIRFLOW} is missing: run `make setup`")
    return layout.script(AIRFLOW, "airflow")


def environment(settings: Settings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """Airflow's configuration as environment variables; contains secrets."""
    ports = settings.stack
    api = f"http://127.0.0.1:{ports.airflow_port}"
    database = (
        f"postgresql+psycopg2://airflow:{quote(secrets.postgres_airflow)}@127.0.0.1:{ports.postgres_port}/airflow"
    )
    # addresses that the plugin links to
    links = {"api": settings.gateway_url, "mlflow": settings.gateway.url(ports.mlflow_port)}
    if isinstance(ports.grafana, Path):
        links["grafana"] = settings.gateway.url(ports.grafana_port)
    links |= settings.links.model_dump(exclude_none=True)
    return _FIXED | {
        "AIRFLOW_HOME": str(layout.airflow),
        "AIRFLOW__CORE__FERNET_KEY": secrets.airflow_fernet,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(layout)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__API__PORT": str(ports.airflow_port),
        "AIRFLOW__API__BASE_URL": api,
        "AIRFLOW__API__SECRET_KEY": secrets.airflow_jwt,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.airflow_jwt,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(layout.logs / "airflow"),
        # the sensor that waits for a file in the object store uses it
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
            s3_connection(settings.store, f"http://127.0.0.1:{ports.store_port}", "pipeline", secrets.store_pipeline)
        ),
        "DEPOSIT_STATE_DIR": str(layout.root),
        **{f"DEPOSIT_LINKS__{name}".upper(): address for name, address in links.items()},
    }


def s3_connection(store: StoreSettings, endpoint: str, login: str, password: str) -> dict[str, Any]:
    """An Airflow connection to an object store other than AWS S3."""
    extra = {
        "endpoint_url": endpoint,
        "region_name": store.region,
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    return {"conn_type": "aws", "login": login, "password": password, "extra": json.dumps(extra)}


def prepare(layout: Layout, secrets: Credentials, variables: Mapping[str, str]) -> None:
    """Write the admin's password, and migrate Airflow's database once per version of Airflow.

    `variables` are the result of `environment`. Raises UpstreamError if the migration fails.
    """
    write_private(_passwords(layout), json.dumps({ADMIN: secrets.airflow_admin}))
    stamp = layout.airflow / "migrated"
    version = _version()
    if stamp.exists() and stamp.read_text() == version:
        return
    with (layout.logs / "airflow-migrate.log").open("ab") as log:
        done = subprocess.run(
            [*command(layout), "db", "migrate"],
            env={"PATH": "/usr/bin:/bin", **variables},
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    if done.returncode:
        raise UpstreamError(f"Airflow's database could not be migrated: see {log.name}")
    stamp.write_text(version)


def _passwords(layout: Layout) -> Path:
    return layout.airflow / "passwords.json"


def _version() -> str:
    packages = sorted(AIRFLOW.glob("lib/python*/site-packages/apache_airflow_core-*.dist-info"))
    return packages[-1].name if packages else ""
