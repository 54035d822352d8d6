"""Parts of the engine lost, a dead releaser, TLS: what a stack is on a machine that people work on."""

import functools
import json
import ssl
from typing import Any

import httpx
import pytest
from chaos import until
from composed import PROJECT, Compose, docker, logger

BASE = f"{PROJECT}-serving:local"
AUTHORITY = ("exec", "-T", "gateway", "cat", "/var/lib/deposit/caddy/caddy/pki/authorities/local/root.crt")
ASKS_THE_API = """
import httpx
from deposit.settings import load_settings
api = load_settings().api
headers = {"Authorization": f"Bearer {api.key.get_secret_value()}"}
print(httpx.get(f"{api.url}/models", headers=headers, trust_env=False).json()["models"][0]["model_id"])
"""


def _predicts(client: httpx.Client, url: str, body: dict[str, Any]) -> bool:
    try:
        return client.post(url, json=body).status_code == 200
    except httpx.TransportError:  # not listening yet, or without its certificate
        return False


def _answers(compose: Compose, key: str, customers: list[dict[str, Any]]) -> bool:
    with compose.api(key) as api:
        return _predicts(api, "/predict", {"customers": customers[:1]})


def _restarts(compose: Compose) -> int:
    return int(compose.container("releaser")["RestartCount"])


def _last_release(compose: Compose) -> tuple[Any, ...]:
    [row] = compose.sql("SELECT model_id, state, reason FROM releases WHERE kind = 'release' ORDER BY id DESC LIMIT 1")
    return row


@pytest.fixture
def without_base(compose: Compose) -> Any:
    """The base image is pruned, and comes back in the end whatever happens."""
    docker("image", "rm", "--force", BASE)
    yield
    compose.run("build", "serving-base")


def test_without_its_base_the_live_service_comes_back_and_a_new_one_says_what_to_do(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]], without_base: None
) -> None:
    key, restarts, lost = logins["api"]["marketing"], _restarts(compose), compose.container("serving")["Id"]
    docker("rm", "--force", lost)
    until(lambda: _answers(compose, key, customers))
    assert compose.container("serving")["Id"] != lost
    [(live,)] = compose.sql("SELECT bento_sha256 FROM releases WHERE state = 'live'")
    for image in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{PROJECT}-service").split():
        if not image.endswith(live[:12]):
            docker("image", "rm", "--force", image)
    models = json.loads(compose.command("models", "--json").stdout)
    serving = compose.sql("SELECT model_id FROM releases WHERE state = 'live'")[0][0]
    other = next(model["model_id"] for model in models if model["model_id"] != serving)
    assert compose.command("release", "--model", other, check=False).returncode == 1
    assert _last_release(compose) == (
        other, "failed",
        f"the base image {BASE} is gone from the Docker engine: run `make up`, which makes it anew",
    )  # fmt: skip
    assert _answers(compose, key, customers)
    assert _restarts(compose) == restarts


def test_a_service_that_lost_its_network_is_replaced(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    restarts, lost = _restarts(compose), compose.container("serving")["Id"]
    docker("network", "disconnect", "--force", f"{PROJECT}_serving", lost)
    until(lambda: lost not in {each["Id"] for each in compose.containers()})
    until(lambda: _answers(compose, logins["api"]["marketing"], customers))
    assert _restarts(compose) == restarts


def test_up_leaves_the_services_alone(compose: Compose) -> None:
    before = compose.container("serving")["Id"]
    done = compose.run("up", "--detach", "--no-deps", "--remove-orphans", "gateway")
    assert compose.container("serving")["Id"] == before
    assert "orphan" not in done.stderr


def test_down_clears_the_services_of_a_dead_releaser_away(compose: Compose) -> None:
    docker("kill", compose.container("releaser")["Id"])
    done = compose.make("down")
    assert done.returncode == 0, done.stderr
    assert compose.containers() == []
    assert docker("network", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}") == ""


def test_it_comes_back_with_tls_outside_and_its_parts_ask_inside(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    port, key = compose.ports["DEPOSIT_STACK__GATEWAY"], logins["api"]["marketing"]
    with compose.settings(DEPOSIT_GATEWAY__TLS="internal"):
        logger.info("healthy %.0f s after `up --wait` with TLS", compose.up())
        until(lambda: compose.run(*AUTHORITY, check=False).returncode == 0)
        trusting = ssl.create_default_context(cadata=compose.run(*AUTHORITY).stdout)
        headers, body = {"Authorization": f"Bearer {key}"}, {"customers": customers[:1]}
        with httpx.Client(verify=trusting, headers=headers, timeout=30, trust_env=False) as client:
            for host in ("127.0.0.1", "localhost"):
                until(functools.partial(_predicts, client, f"https://{host}:{port}/predict", body))
        assert compose.logins()["api"]["url"] == f"https://localhost:{port}"
        inside = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", "deposit", "-c", ASKS_THE_API)
        [(live,)] = compose.sql("SELECT model_id FROM releases WHERE state = 'live'")
        assert compose.run(*inside).stdout.strip() == live


def test_mlflow_answers_by_its_published_names_alone(compose: Compose) -> None:
    url, port = compose.url("DEPOSIT_STACK__MLFLOW"), compose.ports["DEPOSIT_STACK__MLFLOW"]
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    status = {
        host: httpx.get(url + path, headers={"Host": host}, trust_env=False).status_code
        for host in (f"localhost:{port}", "localhost:31999", f"[::1]:{port}", "evil.test", f"evil.test:{port}")
    }
    assert list(status.values()) == [200, 200, 200, 403, 403], status
