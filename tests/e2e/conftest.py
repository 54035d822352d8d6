import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import stand_in_grafana
from sqlalchemy import create_engine

from deposit.deploy.local.airflow_api import AirflowApi

ROOT = Path(__file__).resolve().parents[2]
DEPOSIT = str(Path(sys.executable).parent / "deposit")


@dataclass(frozen=True)
class Stack:
    """A whole running stack, seen from outside: its commands, its URLs."""

    environment: dict[str, str]
    calls: list[dict[str, Any]]
    """What was posted to its webhook."""

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [DEPOSIT, *arguments], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"deposit {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    @cached_property
    def _settings(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.run("env").stdout.splitlines())

    def settings(self) -> dict[str, str]:
        """What `deposit env` prints, which stays as it is; asked for once, as those who wait need it at each look."""
        return self._settings

    def url(self, part: str) -> str:
        return f"http://127.0.0.1:{self.environment[f'DEPOSIT_STACK__{part.upper()}_PORT']}"

    def api(self) -> httpx.Client:
        return httpx.Client(base_url=self.url("gateway"), timeout=30, trust_env=False)

    def airflow(self) -> AirflowApi:
        settings = self.settings()
        return AirflowApi(self.url("airflow"), settings["AIRFLOW_ADMIN_USER"], settings["AIRFLOW_ADMIN_PASSWORD"])

    def ui_login(self) -> tuple[str, str]:
        """Of MLflow's and Evidently's UIs."""
        settings = self.settings()
        return settings["MLFLOW_TRACKING_USERNAME"], settings["MLFLOW_TRACKING_PASSWORD"]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        url = self.settings()["DEPOSIT_DATABASE__URL"].replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url)
        with engine.connect().execution_options(no_parameters=True) as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
        engine.dispose()
        return rows


@pytest.fixture(scope="session")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of somebody who is called, and what was posted there."""
    calls: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/alerts", calls
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[int], int],
    webhook: tuple[str, list[dict[str, Any]]],
) -> Iterator[Stack]:
    """The stack in a folder and on ports of its own, brought to a served champion by `deposit demo`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DEPOSIT_", "AIRFLOW"))}
    ports = free_ports(30)
    names = ("gateway", "airflow", "mlflow", "store", "postgres", "evidently")
    environment = inherited | {
        "DEPOSIT_STATE_DIR": str(tmp_path_factory.mktemp("stack")),
        **{f"DEPOSIT_STACK__{name.upper()}_PORT": str(ports + number) for number, name in enumerate(names)},
        "DEPOSIT_STACK__INTERNAL_PORT": str(ports + 6),
        "DEPOSIT_STACK__GRAFANA": str(stand_in_grafana.install(tmp_path_factory.mktemp("grafana") / "12.4.0")),
        "DEPOSIT_STACK__GRAFANA_PORT": str(ports + 20),
        "DEPOSIT_RELEASE__FIRST_PORT": str(ports + 25),
        # not the default, so that a training shows whether the DAG has the setting; the same recipe wins, which decays
        "DEPOSIT_TRAIN__TRIALS": "19",
        "DEPOSIT_MONITOR__WEBHOOK_URL": webhook[0],
    }
    running = Stack(environment, webhook[1])
    try:
        demo = running.run("demo", check=False)
        assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr[-3000:]
        (Path(environment["DEPOSIT_STATE_DIR"]) / "demo.txt").write_text(demo.stdout)
        yield running
    finally:
        running.run("down")
