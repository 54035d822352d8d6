"""MLflow's and Evidently's UIs behind the gateway's login: a real Caddy, a real MLflow, MLflow's own client."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from caddy_gateway import PASSWORD, gateway
from mlflow import MlflowClient, MlflowException
from mlflowserver import mlflow_server

from deposit.deploy.credentials import admit_to_uis
from deposit.settings import Settings

pytestmark = pytest.mark.servers

LOGIN = ("admin", PASSWORD)
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
CREATE = "/api/2.0/mlflow/experiments/create"
GUARDED = (
    "", "health", "version", "server-info", "metrics", "static-files/index.html", "get-artifact", "graphql",
    "api/2.0/mlflow/experiments/search?max_results=1", "ajax-api/2.0/mlflow/experiments/search?max_results=1",
    "api/2.0/mlflow/runs/search", "api/2.0/mlflow/registered-models/search", "api/2.0/mlflow-artifacts/artifacts",
    "ajax-api/2.0/mlflow/registered-models/alias?name=deposit&alias=champion", "ajax-api/2.0/mlflow/get-trace-artifact",
    "ajax-api/2.0/mlflow/metrics/get-history", "ajax-api/2.0/mlflow/gateway-proxy", "model-versions/get-artifact",
    "api/3.0/mlflow/traces/search", "%2e%2e/api/2.0/mlflow/experiments/search",
)  # fmt: skip


class Uis(NamedTuple):
    """Those behind the gateway. Evidently's and Dask's are not up."""

    settings: Settings
    mlflow: str
    evidently: str
    dask: str


@pytest.fixture(scope="module")
def uis(free_ports: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uis]:
    folder, nobody = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    database, artifacts = f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts")
    with mlflow_server(free_ports(1), folder / "log", database, artifacts) as url:
        behind = {
            "mlflow": url.removeprefix("http://"),
            "evidently": f"127.0.0.1:{nobody}",
            "dask": f"127.0.0.1:{nobody}",
        }
        with gateway(free_ports, "none", **behind) as (settings, _):
            stack = settings.stack
            ports = (stack.mlflow_port, stack.evidently_port, stack.dask_port)
            yield Uis(settings, *map(settings.gateway.url, ports))


@pytest.fixture
def client(uis: Uis) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=uis.mlflow, trust_env=False, timeout=30) as client:
        yield client


def test_no_path_answers_without_the_login(client: httpx.Client) -> None:
    for path in GUARDED:
        for method in ("GET", "POST", "OPTIONS"):
            answer = client.request(method, f"/{path}")
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert "make credentials" in answer.json()["detail"][0]["message"]


@pytest.mark.parametrize("login", [("admin", "wrong"), ("admin", ""), ("stranger", PASSWORD)])
def test_no_other_login_will_do(client: httpx.Client, login: tuple[str, str]) -> None:
    assert client.get(SEARCH, auth=login).status_code == 401


def test_with_it_the_ui_is_there_by_any_name_of_this_machine(client: httpx.Client) -> None:
    for host in (client.base_url.netloc.decode(), "models.bank.test:5000"):
        page = client.get("/", auth=LOGIN, headers={"Host": host})
        assert page.status_code == 200
        assert "MLflow" in page.text
        assert client.get(SEARCH, auth=LOGIN, headers={"Host": host}).json()["experiments"]
    assert page.headers["x-frame-options"] == "SAMEORIGIN"


def test_pages_of_elsewhere_change_nothing_though_the_browser_is_logged_in(client: httpx.Client) -> None:
    own = str(client.base_url)
    status = {
        origin: client.post(CREATE, json={"name": f"by {origin}"}, auth=LOGIN, headers={"Origin": origin}).status_code
        for origin in (own, "http://evil.test", f"{own}0", "null", "http://localhost:1")
    }
    assert list(status.values()) == [200, 403, 403, 403, 403], status
    assert client.get(SEARCH, auth=LOGIN, headers={"Origin": "http://evil.test"}).headers.keys() & {
        "access-control-allow-origin", "access-control-allow-credentials",
    } == set()  # fmt: skip


def test_mlflows_client_logs_in_by_its_own_variables(uis: Uis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", LOGIN[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", LOGIN[1])
    connected = MlflowClient(uis.mlflow)
    run = connected.create_run(connected.create_experiment("from a laptop"))
    connected.log_text(run.info.run_id, "kept", "note.txt")
    assert connected.list_artifacts(run.info.run_id)[0].path == "note.txt"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(MlflowException, match="needs the login of MLflow"):
        connected.create_experiment("from a stranger")


@pytest.mark.parametrize("ui", ["evidently", "dask"])
def test_a_ui_that_does_not_run_asks_for_the_login_as_well(uis: Uis, ui: str) -> None:
    with httpx.Client(base_url=getattr(uis, ui), trust_env=False, timeout=30) as client:
        assert client.get("/api/projects").status_code == 401
        answer = client.get("/api/projects", auth=LOGIN)
    assert (answer.status_code, "Bad Gateway" in answer.text) == (502, True)


def test_the_log_of_requests_holds_no_password(uis: Uis, client: httpx.Client) -> None:
    assert client.get(SEARCH, auth=LOGIN).status_code == 200
    log = (uis.settings.state.logs / "access.log").read_text()
    assert "experiments/search" in log
    assert "Authorization" not in log
    assert PASSWORD not in log


def test_the_password_is_kept_as_a_hash_that_lasts(tmp_path: Path) -> None:
    place = tmp_path / "caddy" / "login"
    admit_to_uis(place, "first")
    kept = place.read_text()
    admit_to_uis(place, "first")
    assert place.read_text() == kept
    assert "first" not in kept
    assert place.stat().st_mode & 0o077 == 0
    for damaged in (b"", b"none", b"\xff"):
        place.write_bytes(damaged)
        admit_to_uis(place, "second")
        assert place.read_text().startswith("$2b$10$")
