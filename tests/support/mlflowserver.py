"""A real MLflow server for tests, with the database and the place of artifacts that a test wants."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest


@contextmanager
def mlflow_server(
    port: int, log: Path, backend: str, artifacts: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Its URL while it runs; `environment` in the place of this process's own. It runs no jobs, as in the stack."""
    command = [
        str(Path(sys.executable).parent / "mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        f"--backend-store-uri={backend}", "--serve-artifacts", f"--artifacts-destination={artifacts}",
    ]  # fmt: skip
    variables = {**(os.environ if environment is None else environment), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env=variables)
    try:
        uri = f"http://127.0.0.1:{port}"
        _wait_until_healthy(uri, log)
        yield uri
    finally:
        server.terminate()
        server.wait(120)


def _wait_until_healthy(uri: str, log: Path) -> None:
    deadline = time.monotonic() + 300
    with httpx.Client(timeout=2) as client:  # a new one reads all authorities' certificates
        while time.monotonic() < deadline:
            try:
                if client.get(f"{uri}/health").is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.3)
    pytest.fail(f"MLflow does not start; its log ends: {log.read_text()[-2000:]}")
