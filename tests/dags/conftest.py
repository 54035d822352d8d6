import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# before Airflow is imported: a home of its own, so that a running stack is never touched
HOME = tempfile.mkdtemp(prefix="deposit-dags-")
for name in [name for name in os.environ if name.startswith(("DEPOSIT_", "AIRFLOW"))]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    # nothing listens there: a query or a connection while parsing fails the test
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
    "DEPOSIT_STATE_DIR": f"{HOME}/state",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers_of(script: str, home: Path, limit: float, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a script prints as `answers: {…}` in an Airflow of its own, which may take so many seconds."""
    own = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of a test, and long enough for an HMAC of 64 bytes: " + "x" * 64,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "DEPOSIT_MLFLOW__TRACKING_URI": "http://127.0.0.1:1",
        **environment,
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=limit)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("answers: "))
    result: dict[str, Any] = json.loads(line.removeprefix("answers: "))
    return result


@pytest.fixture
def aws_url() -> Iterator[str]:
    """The address of a simulated AWS that has nothing yet."""
    port = free_port()
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "simulated_aws", "-H", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "support")}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/data.json")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
