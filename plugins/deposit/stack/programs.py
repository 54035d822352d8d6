"""The parts of the stack without Docker: what is run, with which environment, and how each tells it is ready."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from deposit.release.gateway import Gateway
from deposit.settings import Settings
from deposit.stack import airflow, objectstore, postgres
from deposit.stack.credentials import Credentials
from deposit.stack.layout import Layout


@dataclass(frozen=True)
class Program:
    """One part under the supervisor.

    `url` is what a person opens; `health` is asked until it answers: an URL, host:port, or `postgresql:port`.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)
    url: str | None = None
    health: str | None = None
    stop_signal: str = "TERM"
    what: str = ""


def programs(settings: Settings, layout: Layout, secrets: Credentials) -> list[Program]:
    """All parts, in the order in which they start."""
    return [
        _postgres(settings, layout),
        _store(settings, layout),
        _mlflow(settings, secrets),
        _gateway(settings, layout),
        _shipper(settings, layout, secrets),
        _evidently(settings),
        *_airflow(settings, layout, secrets),
        Program(
            "releaser",
            [_tool("deposit"), "releaser"],
            {"DEPOSIT_STATE_DIR": str(layout.root)},
            what="carries out releases",
        ),
    ]


def _postgres(settings: Settings, layout: Layout) -> Program:
    port = settings.stack.postgres_port
    return Program(
        "postgres",
        postgres.command(layout.cluster, port),
        {},
        health=f"{postgres.HEALTH}:{port}",
        # SIGTERM would wait for every client to leave
        stop_signal="INT",
        what="databases deposit, mlflow, airflow",
    )


def _store(settings: Settings, layout: Layout) -> Program:
    port = settings.stack.store_port
    return Program(
        "objectstore",
        objectstore.command(layout.objects, layout.logs, layout.identities, port, settings.stack.internal_port),
        {},
        health=f"http://127.0.0.1:{port}/healthz",
        what="data, models, bentos (S3)",
    )


def _mlflow(settings: Settings, secrets: Credentials) -> Program:
    ports = settings.stack
    url = f"http://127.0.0.1:{ports.mlflow_port}"
    environment = {
        "MLFLOW_BACKEND_STORE_URI": (
            f"postgresql+psycopg://mlflow:{quote(secrets.postgres_mlflow)}@127.0.0.1:{ports.postgres_port}/mlflow"
        ),
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.store_port}",
        "AWS_ACCESS_KEY_ID": "mlflow",
        "AWS_SECRET_ACCESS_KEY": secrets.store_mlflow,
        "AWS_DEFAULT_REGION": settings.store.region,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        _tool("mlflow"), "server", "--host=127.0.0.1", f"--port={ports.mlflow_port}", "--workers=1",
        "--serve-artifacts", f"--artifacts-destination=s3://{settings.store.mlflow_bucket}",
        f"--allowed-hosts=127.0.0.1:{ports.mlflow_port},localhost:{ports.mlflow_port}",
    ]  # fmt: skip
    return Program("mlflow", command, environment, url, f"{url}/health", what="experiments and registry")


def _gateway(settings: Settings, layout: Layout) -> Program:
    url = settings.gateway_url
    environment = {"XDG_CONFIG_HOME": str(layout.caddy), "XDG_DATA_HOME": str(layout.caddy)}
    command = [_tool("caddy"), "run", "--config", str(Gateway(settings).config_file)]
    return Program(
        "gateway", command, environment, url, f"127.0.0.1:{settings.stack.gateway_port}", what="API and page"
    )


def _shipper(settings: Settings, layout: Layout, secrets: Credentials) -> Program:
    environment = {
        "DEPOSIT_STATE_DIR": str(layout.root),
        "DEPOSIT_DATABASE__WRITER_URL": (
            f"postgresql://writer:{quote(secrets.postgres_writer)}@127.0.0.1:{settings.stack.postgres_port}/deposit"
        ),
        **_log_settings(settings),
    }
    return Program("shipper", [_tool("deposit"), "shipper"], environment, what="log to PostgreSQL")


def _evidently(settings: Settings) -> Program:
    url = f"http://127.0.0.1:{settings.stack.evidently_port}"
    command = [
        _tool("evidently"), "ui", "--host=127.0.0.1", f"--port={settings.stack.evidently_port}",
        f"--workspace={settings.workspace_path}",
    ]  # fmt: skip
    return Program("evidently", command, {"DO_NOT_TRACK": "1"}, url, url, what="reports of each month")


def _airflow(settings: Settings, layout: Layout, secrets: Credentials) -> list[Program]:
    environment = airflow.environment(settings, layout, secrets)
    url = f"http://127.0.0.1:{settings.stack.airflow_port}"
    seen = (url, f"{url}/api/v2/version")
    return [
        Program(
            f"airflow-{part}",
            [airflow.executable(), part, *flags],
            environment,
            url=seen[0] if part == "api-server" else None,
            health=seen[1] if part == "api-server" else None,
            what="orchestration" if part == "api-server" else "",
        )
        for part, flags in airflow.PARTS.items()
    ]


def settings_of(settings: Settings, layout: Layout, secrets: Credentials) -> dict[str, str]:
    """What `deposit` commands need to know of this stack, as environment variables; holds secrets."""
    ports = settings.stack
    return {
        "DEPOSIT_DATABASE__URL": (
            f"postgresql://deposit:{quote(secrets.postgres_deposit)}@127.0.0.1:{ports.postgres_port}/deposit"
        ),
        "DEPOSIT_STORE__ENDPOINT_URL": f"http://127.0.0.1:{ports.store_port}",
        "DEPOSIT_STORE__ACCESS_KEY": "pipeline",
        "DEPOSIT_STORE__SECRET_KEY": secrets.store_pipeline,
        "DEPOSIT_SERVE__KEYS_FILE": str((settings.serve.keys_file or layout.keys).resolve()),
        "DEPOSIT_RELEASE__SERVICE_KEY": secrets.releaser_key,
        "DEPOSIT_RELEASE__STORE_ACCESS_KEY": "serving",
        "DEPOSIT_RELEASE__STORE_SECRET_KEY": secrets.store_serving,
        "DEPOSIT_MLFLOW__TRACKING_URI": f"http://127.0.0.1:{ports.mlflow_port}",
        "DEPOSIT_RELEASE__SUPERVISOR_SOCKET": str(layout.supervisor_socket),
        "DEPOSIT_RELEASE__GATEWAY_ADMIN": str(layout.gateway_socket),
        **{f"DEPOSIT_STACK__{name}".upper(): str(port) for name, port in ports.model_dump().items()},
        **_log_settings(settings),
    }


def _log_settings(settings: Settings) -> dict[str, str]:
    """What somebody set; a default that was written down would outlive its change."""
    chosen = settings.log.model_dump(exclude_defaults=True)
    return {f"DEPOSIT_LOG__{name}".upper(): str(value) for name, value in chosen.items()}


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)
