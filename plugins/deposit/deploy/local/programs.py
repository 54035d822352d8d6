"""The programs of the stack without Docker: their command lines, environments and health checks."""

import hashlib
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from deposit.deploy import airflow, objectstore
from deposit.deploy.credentials import Credentials
from deposit.deploy.layout import MODELS, Layout
from deposit.deploy.local import grafana, postgres, successor
from deposit.deploy.servers import OWNER, WRITER, database_url
from deposit.keys import digest
from deposit.release.caddy import ENVIRONMENT as CADDY_ENVIRONMENT
from deposit.release.gateway import Gateway
from deposit.sections import GatewaySettings, StackSettings, StoreSettings
from deposit.settings import Settings, variables
from deposit.variables import file_of

_PLACE = "DEPOSIT_STATE_DIR"
_WRITER = "DEPOSIT_DATABASE__WRITER_URL"
_MLFLOW, _EVIDENTLY, _GRAFANA = range(objectstore.INTERNAL_PORTS, objectstore.INTERNAL_PORTS + 3)
"""Offsets from `internal_port`, after the object store's ports, of the UIs that the gateway publishes."""
INTERNAL_PORTS = objectstore.INTERNAL_PORTS + 3
_SETTINGS = "SETTINGS_OF_DEPOSIT"
"""Variable with a digest of the files that a program reads: supervisor restarts programs whose environment changed."""


@dataclass(frozen=True)
class Program:
    """One program under supervisor.

    `url` is for people; `health` is polled until it answers: a URL, host:port, or `postgresql:port`. The stack starts
    even if a program that is not `needed` fails.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)
    url: str | None = None
    health: str | None = None
    stop_signal: str = "TERM"
    description: str = ""
    needed: bool = True

    def answers(self) -> bool:
        """Whether the program is ready, by its `health`."""
        if self.health is None:
            return True
        try:
            if self.health.startswith("http"):
                return httpx.get(self.health, timeout=3, trust_env=False).status_code < 500
            host, port = self.health.rsplit(":", 1)
            if host == postgres.HEALTH:
                return postgres.ready(int(port))
            socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
        except (httpx.HTTPError, OSError):
            return False
        return True


def programs(settings: Settings, layout: Layout, secrets: Credentials) -> list[Program]:
    """All programs, in the order in which they start."""
    return [
        _postgres(settings.stack.postgres_port, layout),
        _store(settings.stack, settings.store, layout, secrets),
        _mlflow(settings.stack, settings.store, settings.gateway, layout, secrets),
        _gateway(Gateway(settings), settings.gateway_url, layout),
        _shipper(settings, layout, secrets),
        _evidently(settings.stack, settings.gateway, settings.workspace_path),
        *_airflow(settings.stack.airflow_port, airflow.environment(settings, layout, secrets), layout),
        Program(
            "releaser",
            [_tool("deposit"), "releaser"],
            {"DEPOSIT_STATE_DIR": str(layout.root), _SETTINGS: digest_of(settings_of(settings, layout, secrets))},
            description="carries out releases",
        ),
        *_grafana(settings, layout, secrets),
    ]


def _postgres(port: int, layout: Layout) -> Program:
    return Program(
        "postgres",
        postgres.command(layout.cluster, port),
        {},
        health=f"{postgres.HEALTH}:{port}",
        # SIGTERM would wait until every client has disconnected
        stop_signal="INT",
        description="databases deposit, mlflow, airflow",
    )


def _store(stack: StackSettings, store: StoreSettings, layout: Layout, secrets: Credentials) -> Program:
    port = stack.store_port
    keys = objectstore.identities_file(objectstore.identities(store, secrets))
    return Program(
        "objectstore",
        objectstore.command(layout, port, stack.internal_port),
        {**objectstore.ENVIRONMENT, _SETTINGS: digest_of({"identities": keys})},
        health=f"http://127.0.0.1:{port}/healthz",
        description="data, models, bentos (S3)",
    )


def _mlflow(
    ports: StackSettings, store: StoreSettings, gateway: GatewaySettings, layout: Layout, secrets: Credentials
) -> Program:
    port = ports.internal_port + _MLFLOW
    environment = {
        "MLFLOW_BACKEND_STORE_URI": (
            f"postgresql+psycopg://mlflow:{quote(secrets.postgres_mlflow)}@127.0.0.1:{ports.postgres_port}/mlflow"
        ),
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.store_port}",
        "AWS_ACCESS_KEY_ID": "mlflow",
        "AWS_SECRET_ACCESS_KEY": secrets.store_mlflow,
        "AWS_DEFAULT_REGION": store.region,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        sys.executable, "-P", "-m", successor.__name__,
        *layout.script(MODELS, "mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        "--serve-artifacts", f"--artifacts-destination=s3://{store.mlflow_bucket}",
        f"--allowed-hosts=127.0.0.1:{port}",
    ]  # fmt: skip
    url = gateway.url(ports.mlflow_port)
    health = f"http://127.0.0.1:{port}/health"
    return Program("mlflow", command, environment, url, health, description="experiments and registry")


def _gateway(gateway: Gateway, url: str, layout: Layout) -> Program:
    environment = {**CADDY_ENVIRONMENT, "XDG_CONFIG_HOME": str(layout.caddy), "XDG_DATA_HOME": str(layout.caddy)}
    command = [_tool("caddy"), "run", "--config", str(gateway.config_file)]
    return Program("gateway", command, environment, url, urlsplit(url).netloc, description="API and page")


def _shipper(settings: Settings, layout: Layout, secrets: Credentials) -> Program:
    # the shipper reads only its environment: the stack's settings file holds the owner's password
    environment = {
        **user_variables(settings, with_secrets=False),
        "DEPOSIT_STATE_DIR": str(layout.root),
        _WRITER: stack_variables(settings.stack, layout, secrets)[_WRITER],
    }
    return Program("shipper", [_tool("deposit"), "shipper"], environment, description="log to PostgreSQL")


def _evidently(stack: StackSettings, gateway: GatewaySettings, workspace: Path) -> Program:
    port = stack.internal_port + _EVIDENTLY
    command = [_tool("evidently"), "ui", "--host=127.0.0.1", f"--port={port}", f"--workspace={workspace}"]
    url, health = gateway.url(stack.evidently_port), f"http://127.0.0.1:{port}"
    return Program("evidently", command, {"DO_NOT_TRACK": "1"}, url, health, description="reports of each month")


def _grafana(settings: Settings, layout: Layout, secrets: Credentials) -> list[Program]:
    there = grafana.installation(settings.stack)
    if there is None:
        return []
    port = settings.stack.internal_port + _GRAFANA
    environment = grafana.environment(settings, layout, secrets, port)
    return [
        Program(
            "grafana",
            there.command,
            # Grafana reads its provisioning files only at its start
            environment | {_SETTINGS: digest_of(grafana.provisioning())},
            grafana.url(settings.stack, settings.gateway, settings.links),
            f"http://127.0.0.1:{port}/api/health",
            description="dashboards and alerts",
            needed=False,
        )
    ]


def _airflow(port: int, environment: dict[str, str], layout: Layout) -> list[Program]:
    url = f"http://127.0.0.1:{port}"
    seen = (url, f"{url}/api/v2/version")
    return [
        Program(
            f"airflow-{part}",
            [*airflow.command(layout), part, *flags],
            environment,
            url=seen[0] if part == "api-server" else None,
            health=seen[1] if part == "api-server" else None,
            description="orchestration" if part == "api-server" else "",
        )
        for part, flags in airflow.PARTS.items()
    ]


def wanted_ports(stack: StackSettings) -> dict[str, int]:
    """Every port that the stack listens on, by the setting that changes it."""
    ports = stack.model_dump(exclude={"grafana"} if isinstance(stack.grafana, Path) else {"grafana", "grafana_port"})
    wanted = {f"DEPOSIT_STACK__{name}".upper(): port for name, port in ports.items()}
    first = wanted.pop("DEPOSIT_STACK__INTERNAL_PORT")
    inner = {f"DEPOSIT_STACK__INTERNAL_PORT + {n}": first + n for n in range(INTERNAL_PORTS)}
    return wanted | inner


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def stack_variables(ports: StackSettings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """Addresses, sockets and secrets that the stack itself determines, as environment variables."""
    server = f"127.0.0.1:{ports.postgres_port}"
    dashboards = {"DEPOSIT_GATEWAY__GRAFANA": f"127.0.0.1:{ports.internal_port + _GRAFANA}"}
    return (dashboards if grafana.installation(ports) else {}) | {
        "DEPOSIT_DATABASE__URL": database_url(server, OWNER, secrets.postgres_deposit),
        "DEPOSIT_DATABASE__WRITER_URL": database_url(server, WRITER, secrets.postgres_writer),
        "DEPOSIT_STORE__ENDPOINT_URL": f"http://127.0.0.1:{ports.store_port}",
        "DEPOSIT_STORE__ACCESS_KEY": "pipeline",
        "DEPOSIT_STORE__SECRET_KEY": secrets.store_pipeline,
        "DEPOSIT_SERVE__RELEASER_KEY_SHA256": digest(secrets.releaser_key),
        "DEPOSIT_RELEASE__SERVICE_KEY": secrets.releaser_key,
        "DEPOSIT_RELEASE__STORE_ACCESS_KEY": "serving",
        "DEPOSIT_RELEASE__STORE_SECRET_KEY": secrets.store_serving,
        "DEPOSIT_MLFLOW__TRACKING_URI": f"http://127.0.0.1:{ports.internal_port + _MLFLOW}",
        "DEPOSIT_GATEWAY__MLFLOW": f"127.0.0.1:{ports.internal_port + _MLFLOW}",
        "DEPOSIT_GATEWAY__EVIDENTLY": f"127.0.0.1:{ports.internal_port + _EVIDENTLY}",
        "DEPOSIT_RELEASE__SUPERVISOR_SOCKET": str(layout.supervisor_socket),
        "DEPOSIT_RELEASE__GATEWAY_ADMIN": str(layout.gateway_socket),
    }


def user_variables(settings: Settings, with_secrets: bool = True) -> dict[str, str]:
    """Settings that differ from their defaults, as environment variables, without the state folder.

    Each program gets the state folder separately.
    """
    changed = variables(settings, with_secrets)
    changed.pop(_PLACE, None)
    return changed


def settings_of(settings: Settings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """The settings of every command and program of this stack, as environment variables; contains secrets."""
    by_default = {"DEPOSIT_SERVE__KEYS_FILE": str(layout.keys)}
    return by_default | user_variables(settings) | stack_variables(settings.stack, layout, secrets)


def digest_of(variables: Mapping[str, str]) -> str:
    """A digest from which supervisor sees that a program's settings have changed; it reveals none of them."""
    return hashlib.sha256(file_of(variables).encode()).hexdigest()
