"""The page in a real Airflow: who sees it, who sees its buttons, and what Airflow answers to those who press them."""

from pathlib import Path
from typing import Any

import pytest
from conftest import answers_of

LIMIT_SECONDS = 400
ASKED = """
import json
from airflow.cli.cli_parser import get_parser
for command in (["db", "migrate"], ["dags", "reserialize"]):
    arguments = get_parser().parse_args(command)
    arguments.func(arguments)

from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient

RUNS = "/api/v2/dags/deposit_release/dagRuns"
BODY = {"logical_date": None, "conf": {"rollback": True}}
answers = {}
with TestClient(create_app("core"), base_url="http://testserver") as nobody:
    answers["nobody"] = [nobody.get(path).status_code for path in ("/deposit/", "/deposit/assets/overview.js",
        "/deposit/cards/deposit-v1", "/deposit/reports/2010-05/deposit-v1")]
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    led = nobody.get("/deposit/cards/deposit-v1?x=1", headers=browser, follow_redirects=False)
    answers["browser"] = [led.status_code, led.headers["location"],
        nobody.get(led.headers["location"], headers=browser).status_code,
        nobody.post("/deposit/", headers=browser).status_code, nobody.get("/deposit/none", headers=browser).status_code]
    for role in ("viewer", "admin"):
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
        client = TestClient(nobody.app, base_url="http://testserver", cookies={"_token": token})
        seen = client.get("/deposit/")
        started = client.post(RUNS, json=BODY)
        answers[role] = {
            "status": seen.status_code,
            "policy": seen.headers["content-security-policy"],
            "dialogs": seen.text.count("<dialog"),
            "faults": seen.text.count('role="alert">'),
            "asset": client.get("/deposit/assets/uplot.js").headers["content-type"],
            "no asset": client.get("/deposit/assets/settings.env").status_code,
            "no card": client.get("/deposit/cards/passwords").status_code,
            "dags": len(client.get("/api/v2/dags?tags=deposit&order_by=dag_id&limit=100").json()["dags"]),
            "runs": client.get(f"{RUNS}?order_by=-run_after&limit=5").status_code,
            "started": started.status_code,
            "conf": started.json().get("conf"),
            "wrong": client.post(RUNS, json={"logical_date": None, "conf": {"model": "latest"}}).status_code,
            # what a form of another site can send with the cookie
            "forged": [client.post(RUNS, content=json.dumps(BODY), headers=headers).status_code
                for headers in ({"content-type": "text/plain"}, {})],
        }
print("answers: " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    return answers_of(
        ASKED, home, LIMIT_SECONDS, AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(home / "passwords.json")
    )


pytestmark = pytest.mark.timeout(LIMIT_SECONDS + 20)


def test_nobody_sees_anything_without_a_login(answers: dict[str, Any]) -> None:
    assert answers["nobody"] == [401, 401, 401, 401]


def test_a_browser_without_a_login_is_led_to_airflows_and_back(answers: dict[str, Any]) -> None:
    status, location, *others = answers["browser"]
    assert (status, location) == (303, "/auth/login?next=%2Fdeposit%2Fcards%2Fdeposit-v1%3Fx%3D1")
    # the login's own page; what has no page stays refused
    assert others == [200, 405, 404]


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_the_page_is_there_though_mlflow_and_postgresql_are_not(answers: dict[str, Any], role: str) -> None:
    seen = answers[role]
    assert (seen["status"], seen["faults"]) == (200, 2)
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in seen["policy"]
    assert "javascript" in seen["asset"]
    assert (seen["no asset"], seen["no card"]) == (404, 404)


def test_who_may_start_runs_sees_the_buttons_and_airflow_starts_them(answers: dict[str, Any]) -> None:
    admin = answers["admin"]
    # there is nothing to roll back to where PostgreSQL is away
    assert (admin["dialogs"], admin["dags"], admin["runs"]) == (3, 7, 200)
    assert (admin["started"], admin["conf"]["rollback"]) == (200, True)
    assert admin["wrong"] == 400


def test_who_may_only_look_sees_no_button_and_is_refused(answers: dict[str, Any]) -> None:
    viewer = answers["viewer"]
    assert (viewer["dialogs"], viewer["dags"], viewer["runs"]) == (0, 7, 200)
    assert (viewer["started"], viewer["wrong"]) == (403, 403)


def test_a_page_of_another_site_starts_nothing(answers: dict[str, Any]) -> None:
    assert answers["admin"]["forged"] == [422, 422]
