"""The files of this folder run in their order, on one stack: each goes on where the one before ended."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError
from composed import DEAD_PROXY, ONCE, PROJECT, Compose, docker, service_of

BESIDE_THE_ENGINE = ("releaser", "cleanup")


def test_every_part_is_healthy_and_the_one_shots_have_ended_well(compose: Compose) -> None:
    states = {service_of(each): each["State"] for each in compose.containers()}
    assert {name for name, state in states.items() if not state["Running"]} == ONCE
    assert {states[name]["ExitCode"] for name in ONCE} == {0}
    assert compose.healthy()


def test_a_proxy_of_the_clients_configuration_is_nobodys_way_inside(compose: Compose) -> None:
    """Every container has it, at which nobody listens, and all are healthy."""
    environment = dict(each.partition("=")[::2] for each in compose.container("releaser")["Config"]["Env"])
    assert environment["HTTP_PROXY"] == DEAD_PROXY
    assert "bank.test" not in environment["NO_PROXY"]


def test_nothing_is_published_beyond_loopback(compose: Compose) -> None:
    published = [
        binding["HostIp"]
        for each in compose.containers()
        for bindings in (each["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    ]
    assert set(published) == {"127.0.0.1"}
    ports = set(compose.ports.values())
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port in ports}
    assert listening == {"127.0.0.1"}


def test_parts_are_confined(compose: Compose) -> None:
    for each in compose.containers():
        name, host = service_of(each), each["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), name
        assert host["Memory"] > 0, name
        assert host["LogConfig"]["Config"]["max-size"], name
        sockets = [mount for mount in each["Mounts"] if "docker.sock" in mount["Source"]]
        assert bool(sockets) == (name in BESIDE_THE_ENGINE), name
        if name not in ("secrets", *BESIDE_THE_ENGINE):
            assert each["Config"]["User"].split(":")[0] not in ("", "0", "root"), name


@pytest.mark.parametrize("name", BESIDE_THE_ENGINE)
def test_who_has_the_engines_socket_has_given_root_away(compose: Compose, name: str) -> None:
    process = psutil.Process(compose.container(name)["State"]["Pid"])
    assert set(process.uids()) == {10001}
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_no_image_runs_as_root_or_holds_a_secret(compose: Compose, logins: dict[str, Any]) -> None:
    secrets = [value for value in compose.vault().values() if isinstance(value, str) and len(value) >= 20]
    assert len(secrets) > 10
    images = tuple(f"{PROJECT}{part}:local" for part in ("", "-airflow", "-serving", "-minio"))
    texts = [docker("history", "--no-trunc", *images[:1])]
    for image in images:
        inspected = docker("inspect", image)
        assert json.loads(inspected)[0]["Config"]["User"].split(":")[0] not in ("", "0", "root")
        texts += [inspected, docker("history", "--no-trunc", image)]
    texts += [json.dumps(compose.containers()), compose.run("logs", "--no-color").stdout]
    assert [secret[:4] for secret in secrets for text in texts if secret in text] == []


def test_each_part_sees_its_own_secrets_alone(compose: Compose) -> None:
    for each in compose.containers():
        name = service_of(each)
        seen = {mount["Name"].removeprefix(f"{PROJECT}_") for mount in each["Mounts"] if mount["Type"] == "volume"}
        own = {volume for volume in seen if volume.startswith("secrets-") or volume == "vault"}
        if name == "secrets":
            continue
        expected = {
            "init": {"vault"},
            "object-store": {"secrets-store"},
            "serving": {"secrets-serving"},
            "gateway": set(),
            "cleanup": set(),
            "serving-base": set(),
        }.get(name, {"secrets-airflow"} if name.startswith("airflow") else {f"secrets-{name}"})
        assert own == expected, name


def test_no_default_password_works(compose: Compose) -> None:
    for password in ("admin", "airflow", "deposit", ""):
        body = {"username": "admin", "password": password}
        answer = httpx.post(
            f"{compose.url('DEPOSIT_STACK__AIRFLOW')}/auth/token", json=body, trust_env=False, timeout=60
        )
        assert answer.status_code in (400, 401), password
    for user, password in (("minioadmin", "minioadmin"), ("admin", "admin12345")):
        with pytest.raises(ClientError, match=r"InvalidAccessKeyId|Forbidden|SignatureDoesNotMatch|AccessDenied"):
            compose.store(user, password).list_buckets()
    for user in ("postgres", "deposit", "reader", "writer"):
        done = compose.run(
            "exec", "-T", "-e", f"PGPASSWORD={user}", "postgres",
            "psql", "--host=127.0.0.1", f"--username={user}", "--dbname=deposit", "--command=SELECT 1", check=False,
        )  # fmt: skip
        assert "password authentication failed" in done.stderr, user


def test_before_the_first_champion_the_gateway_says_what_to_do(compose: Compose, logins: dict[str, Any]) -> None:
    with compose.api(None) as api:
        answer = api.post("/predict", json={"customers": []})
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/json")
    assert "deposit_ingest" in answer.json()["detail"][0]["message"]


def test_the_serving_network_leads_nowhere_else(compose: Compose) -> None:
    networks = {service_of(each): set(each["NetworkSettings"]["Networks"]) for each in compose.containers()}
    assert networks["gateway"] == {f"{PROJECT}_{name}" for name in ("serving", "front", "tracking")}
    with pytest.raises(subprocess.CalledProcessError):
        docker("exec", compose.container("gateway")["Id"], "wget", "-q", "-T", "3", "-O", "-", "http://postgres:5432")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 5432)) != 0
