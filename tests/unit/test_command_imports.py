"""What a person waits for at the command line is mostly imports: these commands bring none of the heavy libraries."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deposit.errors import UpstreamError
from deposit.registry.versions import RegisteredVersions
from deposit.settings import Settings

MODELS = {"duckdb", "mlflow", "pandas", "scipy", "sklearn", "xgboost", "optuna", "evidently", "bentoml", "matplotlib"}
CLOUD = {"boto3", "minio"}
DASK = {"dask", "distributed"}
SCRIPT = """
import json, sys
from deposit.cli import main
from deposit.data.period import parse_period
sys.argv = ["deposit", *{arguments}]
if "monitor" in sys.argv:
    from deposit.monitoring import reporting
    # a day of which PostgreSQL holds no prediction
    reporting.monitor = lambda settings, period, *_: reporting.MonitoredPeriod(parse_period(period).name, ())
try:
    main()
finally:
    print("IMPORTED", json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
VERSION = {
    "name": "deposit", "version": "2", "creation_timestamp": 1796012449470, "run_id": "b" * 32,
    "tags": [
        {"key": "deposit.dataset", "value": "8d5e9e749c0de8f6"},
        {"key": "deposit.metrics", "value": '{"roc_auc": 0.7}'},
        {"key": "deposit.model_sha256", "value": "c" * 64},
    ],
}  # fmt: skip
ANSWERS = {
    "/api/2.0/mlflow/registered-models/get": {
        "registered_model": {"name": "deposit", "aliases": [{"alias": "champion", "version": "2"}]}
    },
    # the second was registered by hand
    "/api/2.0/mlflow/model-versions/search": {"model_versions": [VERSION, {**VERSION, "version": "3", "tags": []}]},
}


@pytest.fixture(scope="module")
def mlflow_server() -> Iterator[str]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            content = b"<p>a page</p>" if path.startswith("/page/") else json.dumps(ANSWERS[path]).encode()
            self.send_response(404 if path.startswith("/page/404/") else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(arguments: list[str], environment: dict[str, str]) -> tuple[str, set[str]]:
    """What a command prints, and the top-level modules that it has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{arguments}", repr(arguments))],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = next(line for line in done.stderr.splitlines() if line.startswith("IMPORTED "))
    return done.stdout, set(json.loads(imported.removeprefix("IMPORTED ")))


@pytest.fixture
def environment(tmp_path: Path, mlflow_server: str) -> dict[str, str]:
    return {"DEPOSIT_STATE_DIR": str(tmp_path), "DEPOSIT_MLFLOW__TRACKING_URI": mlflow_server, "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], MODELS | CLOUD | DASK | {"sqlalchemy", "psycopg", "numpy", "httpx"}),
        (["models", "--json"], MODELS | CLOUD | DASK | {"sqlalchemy", "psycopg", "numpy"}),
        (["status", "--json"], MODELS | CLOUD | DASK | {"numpy"}),
        (["monitor", "--date", "2010-05-17", "--json"], MODELS | CLOUD | DASK),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_command_imports_none_of_what_it_does_not_use(
    arguments: list[str], absent: set[str], environment: dict[str, str]
) -> None:
    _, imported = run(arguments, environment)
    assert not imported & absent


@pytest.mark.parametrize("page", ["/page", "/page/404"])
def test_what_is_no_mlflow_is_named_in_one_sentence(page: str, mlflow_server: str, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, mlflow={"tracking_uri": mlflow_server + page})
    with pytest.raises(UpstreamError, match=f"MLflow at {mlflow_server}{page} does not answer as it should"):
        RegisteredVersions(settings).versions()


def test_models_are_those_of_ours_with_aliases_and_metrics(environment: dict[str, str]) -> None:
    printed, _ = run(["models", "--json"], environment)
    assert json.loads(printed) == [
        {
            "model_id": "deposit-v2",
            "version": 2,
            "run_id": "b" * 32,
            "created": "2026-11-30T04:20:49+00:00",
            "dataset": "8d5e9e749c0de8f6",
            "metrics": {"roc_auc": 0.7},
            "aliases": ["champion"],
        }
    ]


def test_what_scores_and_trains_imports_dask_only_if_a_scheduler_is_set() -> None:
    script = "import deposit.scoring.score, deposit.training.training, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert not DASK & set(done.stdout.split())
