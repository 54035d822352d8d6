"""Airflow's login by a real OIDC provider: who comes in, with which rights, and who does not."""

import json
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import ROOT, answers_of, free_port, wait_for

LIMIT_SECONDS = 500
PROVIDER = "oidc-provider-mock==0.3.4"
CONFIGURATION = ROOT / "docker" / "webserver_config.py"
USERS = {
    "ada": ["deposit-admins"],
    "vera": ["deposit-viewers", "staff"],
    "mallory": ["staff"],
}
ASKED = """
import json, sys
from airflow.cli.cli_parser import get_parser
arguments = get_parser().parse_args(["db", "migrate"])
arguments.func(arguments)

import httpx
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient

BROWSER = {"accept": "text/html"}
answers = {}
with TestClient(create_app("core"), base_url="http://testserver") as first:
    for user in json.loads(sys.argv[1]):
        browser = TestClient(first.app, base_url="http://testserver", headers=BROWSER, follow_redirects=False)
        led = browser.get("/deposit/").headers["location"]
        page = browser.get(led)
        # as the script of the page's button does
        asked = browser.get(led.replace("/login/", "/login/oidc"))
        given = httpx.post(asked.headers["location"], data={"sub": user}, trust_env=False, timeout=60)
        back = browser.get(given.headers["location"])
        seen = browser.get(back.headers["location"])
        answers[user] = {
            "led": [led, page.status_code, "btn-signin-oidc" in page.text, back.headers["location"]],
            "asked": asked.headers["location"],
            "page": [seen.status_code, seen.text.count("<dialog")],
            "api": [browser.get(f"/api/v2/{what}").status_code for what in ("dags", "variables")],
        }
    forged = first.get("/auth/oauth-authorized/oidc?code=x&state=y", headers=BROWSER, follow_redirects=False)
    answers["forged"] = [forged.status_code, first.get("/deposit/").status_code]
print("answers: " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an OpenID provider with some users and their groups."""
    port = free_port()
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    command = [uv, "tool", "run", "--isolated", "--from", PROVIDER, "oidc-provider-mock", "--port", str(port)]
    for name, groups in USERS.items():
        claims = {"sub": name, "preferred_username": name, "email": f"{name}@bank.test", "groups": groups}
        command += ["--user-claims", json.dumps(claims)]
    log = tmp_path_factory.mktemp("provider") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def answers(provider: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    return answers_of(
        ASKED, home, LIMIT_SECONDS, json.dumps(list(USERS)),
        AIRFLOW__API__BASE_URL="http://testserver",
        AIRFLOW__CORE__AUTH_MANAGER="airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        AIRFLOW__FAB__CONFIG_FILE=str(CONFIGURATION),
        OIDC_ISSUER=provider,
        AIRFLOW_OIDC_CLIENT_ID="airflow",
        AIRFLOW_OIDC_CLIENT_SECRET="of a test",
        AIRFLOW_OIDC_ROLES=json.dumps({"deposit-admins": "Admin", "deposit-viewers": "Viewer"}),
    )  # fmt: skip


pytestmark = pytest.mark.timeout(LIMIT_SECONDS + 60)


@pytest.mark.parametrize("user", USERS)
def test_a_browser_is_led_to_the_provider_and_back_to_the_page(answers: dict[str, Any], user: str) -> None:
    asked = parse_qs(urlsplit(answers[user]["asked"]).query)
    assert asked["client_id"] == ["airflow"]
    assert asked["code_challenge_method"] == ["S256"]
    assert answers[user]["led"] == [
        "http://testserver/auth/login/?next=%2Fdeposit%2F", 200, True, "http://testserver/deposit/",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("user", "page", "api"),
    [
        ("ada", [200, 3], [200, 200]),
        ("vera", [200, 0], [200, 403]),
        # who is in no group that has a role
        ("mallory", [403, 0], [403, 403]),
    ],
)
def test_groups_of_the_provider_are_roles_of_airflow(
    answers: dict[str, Any], user: str, page: list[int], api: list[int]
) -> None:
    assert (answers[user]["page"], answers[user]["api"]) == (page, api)


def test_what_does_not_come_from_the_provider_logs_nobody_in(answers: dict[str, Any]) -> None:
    assert answers["forged"] == [302, 401]


@pytest.mark.parametrize("missing", ["OIDC_ISSUER", "AIRFLOW_OIDC_CLIENT_ID", "AIRFLOW_OIDC_ROLES"])
def test_a_setting_that_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OIDC_ISSUER", "AIRFLOW_OIDC_CLIENT_ID", "AIRFLOW_OIDC_ROLES"):
        monkeypatch.setenv(name, "{}")
    monkeypatch.delenv(missing)
    with pytest.raises(RuntimeError, match=f"{missing} not set"):
        runpy.run_path(str(CONFIGURATION))
