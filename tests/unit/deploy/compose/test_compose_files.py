"""What compose's files and the Dockerfile say, where a machine's umask, proxies or second clone would meet it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import render

from deposit.deploy import objectstore
from deposit.release.caddy import ENVIRONMENT
from deposit.settings import REPOSITORY

DOCKERFILE = (REPOSITORY / "docker" / "Dockerfile").read_text()
TEXT = (REPOSITORY / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
SEAWEEDFS = (REPOSITORY / "docker-compose.seaweedfs.yml").read_text()
INGESTS = {"airflow-scheduler", "airflow-worker", "deposit"}
SECRETS_OF_PEOPLE = {
    "DEPOSIT_INGEST__URL": INGESTS,
    "DEPOSIT_INGEST__KAGGLE_TOKEN": INGESTS,
    "DEPOSIT_MONITOR__WEBHOOK_URL": {"airflow-scheduler", "airflow-worker", "airflow-dag-processor"},
    "ALERT_WEBHOOK_URL": {"grafana"},
    "AIRFLOW_OIDC_CLIENT_SECRET": {"airflow-apiserver"},
    "GRAFANA_OIDC_CLIENT_SECRET": {"grafana"},
}
"""Secrets that a person may write into `.env`, and the parts that need them."""
SPEAK_NO_HTTP = {"postgres", "redis", "shipper"}


def test_what_is_copied_from_a_clone_has_modes_of_its_own() -> None:
    copied = [line for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from=" not in line]
    assert len(copied) >= 6
    assert [line for line in copied if not re.search(r"--chmod=(644|755) ", line)] == []


def test_images_are_the_projects_own() -> None:
    built = {name: service["image"] for name, service in SERVICES.items() if service["image"].endswith(":local")}
    assert len(built) > 10
    assert [image for image in built.values() if not image.startswith("${COMPOSE_PROJECT_NAME}")] == []
    assert SERVICES["serving-base"]["image"] in SERVICES["releaser"]["environment"]["DEPOSIT_RELEASE__BASE_IMAGE"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_part_asks_another_by_a_proxy_of_dockers_client(name: str) -> None:
    service = SERVICES[name]
    environment = service.get("environment", {})
    if service.get("network_mode") == "none" or name in SPEAK_NO_HTTP or name == "object-store":
        return
    if environment.get("http_proxy") == environment.get("HTTP_PROXY") == "":
        return
    spared = environment["NO_PROXY"].split(",")
    assert environment["no_proxy"] == environment["NO_PROXY"]
    asked = set(re.findall(r"https?://([a-z0-9.-]+):\d", yaml.safe_dump(service)))
    assert asked - {"localhost"} <= set(spared)
    assert {"localhost", "127.0.0.1", "::1"} <= set(spared)


def test_who_becomes_another_user_takes_a_home_with_it() -> None:
    # libpq fails where it may not look into $HOME/.postgresql, as soon as it verifies a server
    entries = {name: " ".join(service.get("entrypoint", [])) for name, service in SERVICES.items()}
    becoming = {name: words for name, words in entries.items() if "setpriv" in words}
    assert becoming.keys() == {"releaser", "cleanup"}
    assert all("export HOME=/tmp; exec setpriv --reuid=10001 " in words for words in becoming.values())


def test_nothing_leads_to_a_console_that_seaweedfs_has_not() -> None:
    services = yaml.safe_load(re.sub(r"!(reset|override) ?(null)?", "", SEAWEEDFS))["services"]
    assert [port["target"] for port in services["object-store"]["ports"]] == [9000]
    for name in ("secrets", "credentials"):
        assert services[name]["environment"] == {"STORE_CONSOLE_PORT": "0"}
    assert services["airflow-apiserver"]["environment"]["DEPOSIT_LINKS__STORE_FILE"] == ""


def test_seaweedfs_lets_others_reach_s3_alone() -> None:
    assert "-ip.bind=127.0.0.1" in SEAWEEDFS
    assert "-disableHttp" in SEAWEEDFS
    assert "-config_dir=/run/deposit" in SEAWEEDFS
    assert re.findall(r"-\S*ip\.bind=0\.0\.0\.0", SEAWEEDFS) == ["-s3.ip.bind=0.0.0.0"]


def test_seaweedfs_uses_the_disk_as_without_docker() -> None:
    services = yaml.safe_load(re.sub(r"!(reset|override) ?(null)?", "", SEAWEEDFS))["services"]
    assert services["object-store"]["environment"].items() >= objectstore.ENVIRONMENT.items()
    assert f"-volume.minFreeSpace={objectstore.RESERVE}" in services["object-store"]["command"]


@pytest.mark.parametrize("secret", SECRETS_OF_PEOPLE)
def test_a_secret_in_env_reaches_the_parts_that_need_it_alone(secret: str) -> None:
    given = {
        name
        for name, service in SERVICES.items()
        if (service.get("env_file") and service["environment"].get(secret) != "")
        or f"${{{secret}" in yaml.safe_dump(service)
    }
    assert given == SECRETS_OF_PEOPLE[secret]


def test_what_has_no_login_is_published_by_the_gateway_alone() -> None:
    published = {name for name, service in SERVICES.items() if service.get("ports")}
    assert published == {"gateway", "airflow-apiserver", "grafana", "object-store"}
    behind = {SERVICES["init"]["environment"][f"DEPOSIT_GATEWAY__{ui}"] for ui in ("MLFLOW", "EVIDENTLY", "DASK")}
    for name, port in (address.split(":") for address in behind):
        assert set(SERVICES[name]["networks"]) & set(SERVICES["gateway"]["networks"]) == {"tracking"}
        assert port in yaml.safe_dump(SERVICES[name]["healthcheck"])
    assert yaml.safe_load(TEXT)["networks"]["tracking"] == {"internal": True}


def test_the_gateways_process_is_set_as_without_docker() -> None:
    assert SERVICES["gateway"]["environment"].items() >= ENVIRONMENT.items()


def test_code_reaches_dasks_workers_from_those_alone_that_give_them_work() -> None:
    parts = ("dask-scheduler", "dask-worker")
    inside = {name for name, service in SERVICES.items() if "compute" in service.get("networks", ())}
    assert inside - set(parts) == {"airflow-scheduler", "airflow-worker", "airflow-init", "deposit"}
    assert yaml.safe_load(TEXT)["networks"]["compute"] == {"internal": True}
    for name in parts:
        assert "volumes" not in SERVICES[name]
        assert "env_file" not in SERVICES[name]
        assert not [key for key in SERVICES[name]["environment"] if "KEY" in key or "SECRET" in key or "URL" in key]
        assert '--host "$$(' in " ".join(SERVICES[name]["command"])


OIDC = {
    "OIDC_ISSUER": "https://login.bank.test",
    "OIDC_AUTHORIZATION_URL": "https://login.bank.test/authorize",
    "OIDC_TOKEN_URL": "https://login.bank.test/token",
    "OIDC_USERINFO_URL": "https://login.bank.test/userinfo",
    "AIRFLOW_AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW_URL": "https://airflow.bank.test",
    "AIRFLOW_OIDC_CLIENT_ID": "airflow",
    "AIRFLOW_OIDC_CLIENT_SECRET": "secret of Airflow",
    "AIRFLOW_OIDC_ROLES": '{"ops": "Admin"}',
    "GRAFANA_URL": "https://grafana.bank.test",
    "GRAFANA_OIDC_CLIENT_ID": "grafana",
    "GRAFANA_OIDC_CLIENT_SECRET": "secret of Grafana",
    "GRAFANA_OIDC_ROLE": "contains(groups, `ops`) && `Admin`",
}


def test_logins_by_an_oidc_provider_reach_airflow_and_grafana_and_their_secrets_nobody_else(tmp_path: Path) -> None:
    services = render(tmp_path, ["docker-compose.yml"], OIDC)
    airflow, grafana = services["airflow-apiserver"]["environment"], services["grafana"]["environment"]
    assert airflow["AIRFLOW__CORE__AUTH_MANAGER"] == OIDC["AIRFLOW_AUTH_MANAGER"]
    assert airflow["AIRFLOW__API__BASE_URL"] == OIDC["AIRFLOW_URL"]
    own = {name for name in OIDC if name.startswith(("AIRFLOW_OIDC_", "OIDC_ISSUER"))}
    assert {name: airflow[name] for name in own} == {name: OIDC[name] for name in own}
    assert {grafana[f"GF_AUTH_GENERIC_OAUTH_{name}"] for name in ("ENABLED", "USE_PKCE", "ROLE_ATTRIBUTE_STRICT")} == {
        "true"
    }
    assert {grafana[f"GF_{name}"]: value for name, value in {
        "SERVER_ROOT_URL": "GRAFANA_URL", "AUTH_GENERIC_OAUTH_CLIENT_ID": "GRAFANA_OIDC_CLIENT_ID",
        "AUTH_GENERIC_OAUTH_CLIENT_SECRET": "GRAFANA_OIDC_CLIENT_SECRET",
        "AUTH_GENERIC_OAUTH_AUTH_URL": "OIDC_AUTHORIZATION_URL", "AUTH_GENERIC_OAUTH_TOKEN_URL": "OIDC_TOKEN_URL",
        "AUTH_GENERIC_OAUTH_API_URL": "OIDC_USERINFO_URL",
        "AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH": "GRAFANA_OIDC_ROLE",
    }.items()} == {OIDC[name]: name for name in OIDC if not name.startswith(("AIRFLOW", "OIDC_ISSUER"))}  # fmt: skip
    for secret, part in (
        ("AIRFLOW_OIDC_CLIENT_SECRET", "airflow-apiserver"),
        ("GRAFANA_OIDC_CLIENT_SECRET", "grafana"),
    ):
        readers = {name for name, each in services.items() if OIDC[secret] in (each.get("environment") or {}).values()}
        assert readers == {part}


def test_without_a_provider_logins_are_the_parts_own(tmp_path: Path) -> None:
    services = render(tmp_path, ["docker-compose.yml"], {})
    airflow, grafana = services["airflow-apiserver"]["environment"], services["grafana"]["environment"]
    assert airflow["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".SimpleAuthManager")
    assert airflow["AIRFLOW__API__BASE_URL"] == "http://localhost:8080"
    # which Grafana takes for not set
    assert grafana["GF_AUTH_GENERIC_OAUTH_ENABLED"] == grafana["GF_SERVER_ROOT_URL"] == ""
