import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from deposit.deploy.compose import secrets
from deposit.deploy.compose.parts import LINKED
from deposit.deploy.credentials import Credentials, stored_credentials
from deposit.sections import StoreSettings

FOR_PEOPLE = {"airflow_admin", "grafana_admin", "store_admin", "api_marketing", "api_admin", "gateway_admin"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    secrets.make(folder, StoreSettings(), dict.fromkeys(LINKED, "http://localhost"))
    return folder


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deposit.deploy.compose.logins", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def known(root: Path) -> Credentials:
    return stored_credentials(secrets.vault(root))


def test_a_store_that_is_no_part_of_the_stack_has_no_login(root: Path) -> None:
    listed = json.loads(run(f"--root={root}", "--json", OBJECT_STORE="false").stdout)
    assert listed.keys() == {"api", "airflow", "grafana", "mlflow", "evidently", "dask"}


def test_the_logins_are_printed_as_json(root: Path) -> None:
    logins = json.loads(run(f"--root={root}", "--json", GRAFANA_PORT="3300").stdout)
    assert logins["airflow"] == {
        "url": "http://localhost:8080",
        "user": "admin",
        "password": known(root).airflow_admin,
    }
    assert (logins["grafana"]["url"], logins["grafana"]["password"]) == (
        "http://localhost:3300",
        known(root).grafana_admin,
    )
    assert (logins["store"]["user"], logins["store"]["password"]) == ("admin", known(root).store_admin)
    for part, url in (
        ("mlflow", "http://localhost:5000"),
        ("evidently", "http://localhost:3001"),
        ("dask", "http://localhost:8787"),
    ):
        assert logins[part] == {"url": url, "user": "admin", "password": known(root).gateway_admin}
    assert logins["api"]["marketing"] == known(root).api_marketing
    assert logins["api"]["admin"] == known(root).api_admin


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_people_are_told_their_secrets_and_no_other(root: Path, options: list[str]) -> None:
    output = run(f"--root={root}", *options).stdout
    assert {name for name, value in asdict(known(root)).items() if value in output} == FOR_PEOPLE


def test_secrets_that_aws_keeps_are_not_asked_for_where_there_is_no_network(root: Path) -> None:
    given = {"DEPOSIT_DATABASE__URL_SECRET": "deposit-dev/database/url", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    places = root.parent / "places"
    places.mkdir()
    (root.parent / "grafana").mkdir()
    again = [f"--root={root}", f"--places={places}", f"--grafana={root.parent / 'grafana'}"]
    command = [sys.executable, "-m", "deposit.deploy.compose.secrets", *again]
    made = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert run(f"--root={root}", "--json", **given).returncode == 0


def test_before_the_first_start_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    done = run(f"--root={tmp_path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "start the stack" in done.stderr
    assert list(tmp_path.iterdir()) == []
