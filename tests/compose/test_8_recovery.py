"""Parts of the engine lost, a dead releaser, TLS: what a stack is on a machine that people work on."""

import functools
import json
import os
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from certificates import certificate
from chaos import until
from composed import PROJECT, ROOT, Compose, docker, logger

BASE = f"{PROJECT}-serving:local"
AUTHORITY = ("exec", "-T", "gateway", "cat", "/var/lib/deposit/caddy/caddy/pki/authorities/local/root.crt")
INGESTS = {"airflow-scheduler", "airflow-worker", "deposit"}
MAY_SEE = {
    "DEPOSIT_INGEST__URL": INGESTS,
    "DEPOSIT_INGEST__KAGGLE_TOKEN": INGESTS,
    "DEPOSIT_MONITOR__WEBHOOK_URL": {"airflow-scheduler", "airflow-worker", "airflow-dag-processor"},
    "ALERT_WEBHOOK_URL": {"grafana"},
}
"""Secrets that a person may write into `.env`, and the parts that need them."""
ASKS_THE_API = """
import httpx
from deposit.settings import load_settings
api = load_settings().api
headers = {"Authorization": f"Bearer {api.key.get_secret_value()}"}
print(httpx.get(f"{api.url}/models", headers=headers, trust_env=False, timeout=60).json()["models"][0]["model_id"])
"""


def _predicts(client: httpx.Client, url: str, body: dict[str, Any], **options: Any) -> bool:
    try:
        return client.post(url, json=body, **options).status_code == 200
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


def _left(*kinds: str) -> str:
    """Ids and names of what the engine has of the project."""
    mine, every = ("--filter", f"label=com.docker.compose.project={PROJECT}"), {"container": ["--all"]}
    return "".join(docker(kind, "ls", "--quiet", *every.get(kind, []), *mine) for kind in kinds)


@pytest.fixture
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


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


def test_services_stay_while_the_gateway_answers(compose: Compose) -> None:
    before = compose.container("serving")["Id"]
    compose.run("restart", "--no-deps", "cleanup")
    assert compose.container("serving")["Id"] == before


def test_make_down_clears_the_services_away_when_all_who_could_are_dead(compose: Compose) -> None:
    for name in ("releaser", "cleanup"):
        docker("kill", compose.container(name)["Id"])
    done = compose.make("down")
    assert done.returncode == 0, done.stderr
    assert _left("container", "network") == ""


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


def test_mlflow_has_its_login_behind_tls_too(compose: Compose, logins: dict[str, Any]) -> None:
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    login = (logins["mlflow"]["user"], logins["mlflow"]["password"])
    with compose.settings(DEPOSIT_GATEWAY__TLS="internal"):
        url = compose.logins()["mlflow"]["url"]
    assert url == f"https://localhost:{compose.ports['DEPOSIT_STACK__MLFLOW']}"
    trusting = ssl.create_default_context(cadata=compose.run(*AUTHORITY).stdout)
    with httpx.Client(verify=trusting, base_url=url, timeout=30, trust_env=False) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, auth=login).json()["experiments"]


def test_a_second_clone_is_kept_from_the_stack_of_the_first(compose: Compose, tmp_path: Path) -> None:
    before = {each["Id"] for each in compose.containers()}
    with compose.clone(tmp_path):
        for target in ("up", "credentials", "down"):
            done = compose.make(target)
            assert done.returncode != 0
            assert f"the project {PROJECT} is the stack of {ROOT}: run make down there" in done.stderr
            assert "COMPOSE_PROJECT_NAME" in done.stderr
    assert {each["Id"] for each in compose.containers()} == before


def test_a_project_of_its_own_has_everything_of_its_own(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=second\n")
    with compose.clone(tmp_path), compose.settings(COMPOSE_PROJECT_NAME=None):
        config = json.loads(compose.run("--profile", "*", "config", "--format", "json").stdout)
    services = config["services"]
    assert {part["name"].partition("_")[0] for part in (config["networks"] | config["volumes"]).values()} == {"second"}
    built = {service["image"] for service in services.values() if service["image"].endswith(":local")}
    assert built == {f"second{part}:local" for part in ("", "-airflow", "-serving", "-minio")}
    assert services["releaser"]["environment"]["DEPOSIT_RELEASE__PROJECT"] == "second"
    assert services["releaser"]["environment"]["DEPOSIT_RELEASE__BASE_IMAGE"] == "second-serving:local"
    assert services["cleanup"]["command"][3] == "second"


def test_what_env_holds_reaches_the_parts_that_need_it_alone(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}=https://{name.lower()}.bank.test/hush\n" for name in MAY_SEE))
    with compose.clone(tmp_path):
        config = json.loads(compose.run("--profile", "*", "config", "--format", "json").stdout)
    given = {part: json.dumps(service) for part, service in config["services"].items()}
    seen = {name: {part for part in given if f"{name.lower()}.bank.test" in given[part]} for name in MAY_SEE}
    assert seen == MAY_SEE


def test_grafanas_files_are_opened_to_its_user_by_plain_compose(
    compose: Compose, tmp_path: Path, private_umask: None
) -> None:
    with compose.clone(tmp_path):
        files = [tmp_path / "grafana", *(tmp_path / "grafana").rglob("*")]
        assert not [path for path in files if path.stat().st_mode & stat.S_IROTH]
        compose.run("run", "--rm", "--no-deps", "-T", "secrets")
    assert not [path for path in files if not path.stat().st_mode & stat.S_IROTH]


def test_a_releaser_that_is_stopped_while_it_starts_ends() -> None:
    # with a database to wait for, so that it does not end by itself
    variables = (
        "PYTHONVERBOSE=1", "DEPOSIT_RELEASE__TARGET=docker", "DEPOSIT_STATE_DIR=/tmp",
        "DEPOSIT_DATABASE__URL=postgresql://nobody:none@127.0.0.1:1/none",
    )  # fmt: skip
    options = [option for variable in variables for option in ("--env", variable)]
    started = docker("run", "--detach", *options, f"{PROJECT}:local", "releaser").strip()
    try:
        until(
            lambda: (
                b"deposit/cli" in subprocess.run(["docker", "logs", started], capture_output=True, check=True).stderr
            )
        )
        docker("stop", "--time", "30", started)
        killed = 137
        assert json.loads(docker("inspect", started))[0]["State"]["ExitCode"] != killed
    finally:
        docker("rm", "--force", started)


@pytest.fixture
def given_certificate() -> Iterator[Path]:
    """The folder of a certificate and its key, which the gateway's user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        certificate(Path(folder, "given"))
        yield Path(folder, "given")


def test_it_comes_back_at_ipv6_with_a_given_certificate(
    compose: Compose, logins: dict[str, Any], customers: list[dict[str, Any]], given_certificate: Path, tmp_path: Path
) -> None:
    override = tmp_path / "override.yml"
    override.write_text(json.dumps({"services": {"gateway": {"volumes": [f"{given_certificate}:/certificates:ro"]}}}))
    files = {
        "DEPOSIT_GATEWAY__CERTIFICATE_FILE": "/certificates/chain.pem",
        "DEPOSIT_GATEWAY__KEY_FILE": "/certificates/key.pem",
        "DEPOSIT_GATEWAY__NAMES": '["localhost"]',
    }
    composed = {
        "COMPOSE_FILE": f"{ROOT / 'docker-compose.yml'}:{override}",
        "BIND_ADDRESS": "::1",
    }
    port = compose.ports["DEPOSIT_STACK__GATEWAY"]
    trusting = ssl.create_default_context(cafile=str(given_certificate / "chain.pem"))
    headers = {"Authorization": f"Bearer {logins['api']['marketing']}"}
    with (
        compose.settings(DEPOSIT_GATEWAY__TLS="files", **files, **composed),
        httpx.Client(verify=trusting, headers=headers, timeout=30, trust_env=False) as client,
    ):
        compose.up("gateway", "mlflow", "airflow-apiserver")
        # the certificate has a name, and this machine need not know it as this address
        named, body = {"sni_hostname": "localhost"}, {"customers": customers[:1]}
        until(functools.partial(_predicts, client, f"https://[::1]:{port}/predict", body, extensions=named))
        printed = compose.logins()
        mlflow = f"{compose.ports['DEPOSIT_STACK__MLFLOW']}/version"
        assert client.get(f"https://[::1]:{mlflow}", extensions=named).status_code == 401
        with pytest.raises(httpx.ConnectError):
            client.get(f"https://127.0.0.1:{mlflow}", extensions=named)
    ports = {compose.ports[f"DEPOSIT_STACK__{name}"] for name in ("GATEWAY", "MLFLOW", "AIRFLOW", "STORE")}
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port in ports}
    assert listening == {"::1"}
    assert printed["api"]["url"] == f"https://localhost:{port}"


def test_plain_down_leaves_nothing_though_the_releaser_is_dead(compose: Compose) -> None:
    docker("kill", compose.container("releaser")["Id"])
    assert compose.container("serving")
    compose.down("--volumes")
    assert _left("container", "network", "volume") == ""
