"""The compose file in front of AWS: what is left out, and who gets which secret."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import render
from sqlalchemy.engine import make_url

from deposit.deploy.compose import preparation
from deposit.deploy.compose.mlflow import variables
from deposit.deploy.local.refused_settings import ON_AWS_ALONE
from deposit.errors import UpstreamError
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.settings import REPOSITORY, setting_names

BASE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
TEXT = (REPOSITORY / "docker-compose.aws.yml").read_text()
AWS: dict[str, Any] = {
    name: service or {}
    for name, service in yaml.safe_load(re.sub(r"!(reset|override)\b", "", TEXT))["services"].items()
}
EXAMPLE = (REPOSITORY / ".env.aws.example").read_text()
LINE = re.compile(r"^# (?P<meaning>.+)\n#?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$", re.MULTILINE)
VARIABLES = {match["name"]: match for match in LINE.finditer(EXAMPLE)}
DATABASE_SECRETS = {
    name for name in setting_names() if name.startswith("DEPOSIT_DATABASE__") and name.endswith(("URL", "PASSWORD"))
}
MAY_SEE = {
    "init": DATABASE_SECRETS,
    "mlflow": {"DEPOSIT_DATABASE__MLFLOW_URL"},
    "shipper": {"DEPOSIT_DATABASE__WRITER_URL"},
    "releaser": {"DEPOSIT_DATABASE__URL"},
    "deposit": {"DEPOSIT_DATABASE__URL"},
    **{
        name: {"DEPOSIT_DATABASE__URL", "DEPOSIT_DATABASE__AIRFLOW_URL"} for name in BASE if name.startswith("airflow-")
    },
}
BUNDLE = Path("/opt/deposit/authorities/rds.pem")
ASKS_AWS = MAY_SEE.keys()
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "of-the-shell", "AWS_SESSION_TOKEN": "token"}


def of(name: str) -> str:
    """A value that nothing else has."""
    return f"{'/' if name.endswith('_FILE') else ''}of-{name.lower().replace('_', '-')}"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Services as compose itself makes them of both files, with a `.env` that sets everything in the example."""
    files = VARIABLES["COMPOSE_FILE"]["value"].split(":")
    chosen = {name: of(name) for name in VARIABLES.keys() - {"COMPOSE_FILE"}}
    return render(tmp_path_factory.mktemp("compose"), files, chosen, CREDENTIALS)


def holders(rendered: dict[str, dict[str, Any]], value: str) -> set[str]:
    """The parts that are given a value in their environment."""
    return {name for name, service in rendered.items() if value in (service.get("environment") or {}).values()}


def test_rendered_there_is_neither_object_store_nor_database(rendered: dict[str, dict[str, Any]]) -> None:
    assert rendered.keys() == BASE.keys() - {"postgres", "object-store"}
    for name, service in rendered.items():
        assert not {"postgres", "object-store"} & set(service.get("depends_on") or {}), name
        given = service.get("environment") or {}
        asked = {key for key, value in given.items() if re.search(r"object-store|@postgres", str(value))}
        assert asked <= {"NO_PROXY", "no_proxy"}, name


def test_rendered_each_secret_reaches_the_parts_that_need_it_alone(rendered: dict[str, dict[str, Any]]) -> None:
    for setting in DATABASE_SECRETS:
        needed = {name for name, settings in MAY_SEE.items() if setting in settings}
        assert holders(rendered, of(f"{setting}_SECRET")) == needed, setting
    for value in CREDENTIALS.values():
        assert holders(rendered, value) == ASKS_AWS


def test_rendered_every_setting_reaches_a_part_and_the_stores_all_that_ask_it(
    rendered: dict[str, dict[str, Any]],
) -> None:
    for name in VARIABLES:
        if name.startswith(("DEPOSIT_", "AIRFLOW__")):
            assert holders(rendered, of(name)), name
    for name in ("DEPOSIT_STORE__REGION", "DEPOSIT_STORE__MLFLOW_BUCKET", "DEPOSIT_STORE__KMS_KEY"):
        assert holders(rendered, of(name)) >= ASKS_AWS, name
    assert {rendered[name]["environment"].get("DEPOSIT_STORE__ENDPOINT_URL", "") for name in ASKS_AWS} == {""}


def test_rendered_keys_are_in_a_file_unless_that_is_set_to_nothing(
    rendered: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    asked = ("releaser", "deposit")
    assert {rendered[name]["environment"]["DEPOSIT_SERVE__KEYS_FILE"] for name in asked} == {
        of("DEPOSIT_SERVE__KEYS_FILE")
    }
    chosen = {
        "DEPOSIT_STORE__REGION": "eu-central-1",
        "DEPOSIT_SERVE__KEYS_FILE": "",
        "DEPOSIT_SERVE__KEYS_SECRET_ID": "keys",
    }
    by_secret = render(tmp_path, VARIABLES["COMPOSE_FILE"]["value"].split(":"), chosen)
    for name in asked:
        variables_of_keys = {key: value for key, value in by_secret[name]["environment"].items() if "KEYS_" in key}
        assert variables_of_keys == {"DEPOSIT_SERVE__KEYS_FILE": "", "DEPOSIT_SERVE__KEYS_SECRET_ID": "keys"}


def test_rendered_images_are_those_of_the_registry(rendered: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in rendered.values()} - {BASE[name]["image"] for name in BASE}
    registry, tag = of("IMAGES"), of("IMAGE_TAG")
    assert images == {f"{registry}/{part}:{tag}" for part in ("deposit", "airflow", "serving")}


def test_the_servers_that_aws_has_are_left_out() -> None:
    assert re.findall(r"^  ([a-z-]+): !reset null$", TEXT, re.MULTILINE) == ["postgres", "object-store"]
    waiting = {
        name for name, service in BASE.items() if {"postgres", "object-store"} & set(service.get("depends_on", ()))
    }
    assert waiting == {"init"}
    assert set(AWS["init"]["depends_on"]) == {"secrets"}


@pytest.mark.parametrize("name", sorted(MAY_SEE))
def test_each_part_is_given_the_databases_that_it_uses(name: str) -> None:
    given = AWS[name]["environment"]
    for setting in DATABASE_SECRETS:
        # null hands on what a person set; an empty text keeps what `.env` holds from this part
        expected = None if setting in MAY_SEE[name] else ""
        assert {given[form] for form in (setting, f"{setting}_SECRET")} == {expected}, setting
        assert given[f"{setting}_FILE"] == ""


def test_no_part_keeps_the_keys_of_a_store_that_is_not_there() -> None:
    for name, service in BASE.items():
        given = AWS.get(name, {}).get("environment") or {}
        # MLflow's is replaced, the others' are merged
        environment = given if name == "mlflow" else (service.get("environment") or {}) | given
        kept = {key for key, value in environment.items() if "object-store" in str(value)}
        assert name == "object-store" or kept <= {"NO_PROXY", "no_proxy"}, name
        assert not environment.get("DEPOSIT_STORE__ACCESS_KEY"), name


def test_no_secret_is_in_the_files() -> None:
    for line in (*TEXT.splitlines(), *EXAMPLE.splitlines()):
        assert not re.search(r"AKIA|ASIA|aws_secret_access_key *= *\S|://[^/\s:]+:[^@\s$]+@", line), line
    assert "AWS_SECRET_ACCESS_KEY:\n" in TEXT


@pytest.mark.parametrize("name", sorted(ON_AWS_ALONE))
def test_each_setting_of_aws_is_in_the_example_with_its_meaning(name: str) -> None:
    match = VARIABLES.get(name) or VARIABLES[f"{name}_SECRET"]
    assert setting_names()[name][0] in match["meaning"]


def test_the_example_sets_nothing_that_nobody_reads() -> None:
    interpolated = set(re.findall(r"\$\{([A-Z_]+)", TEXT)) | {
        "COMPOSE_FILE",
        "AWS_PROFILE",
        "AIRFLOW__SECRETS__BACKEND",
    }
    environments = [service.get("environment") or {} for service in AWS.values()]
    handed_on = {name for given in environments for name, value in given.items() if value is None}
    settings = setting_names().keys() | {f"{name}_SECRET" for name in setting_names()}
    assert set(VARIABLES) <= settings | interpolated | handed_on
    assert len(VARIABLES) > 15


def test_mlflow_reaches_rds_verified_and_writes_with_the_key() -> None:
    database = DatabaseSettings.model_validate(
        {"mlflow_url": "postgresql://mlflow:p%401@db.test:5432/mlflow", "ca_file": BUNDLE}
    )
    environment = variables(StoreSettings(kms_key="alias/x", region="eu-west-1"), database)
    url = make_url(environment["MLFLOW_BACKEND_STORE_URI"])
    assert (url.drivername, url.password) == ("postgresql+psycopg", "p@1")
    assert url.query == {"sslmode": "verify-full", "sslrootcert": str(BUNDLE)}
    assert json.loads(environment["MLFLOW_S3_UPLOAD_EXTRA_ARGS"]) == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/x",
    }
    assert environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert set(variables(StoreSettings(), DatabaseSettings())) == {"AWS_DEFAULT_REGION"}


@pytest.mark.parametrize(("options", "driver"), [([], "psycopg2"), (["--asynchronous"], "psycopg")])
def test_airflow_asks_for_the_url_of_its_database(options: list[str], driver: str) -> None:
    environment = {
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "DEPOSIT_DATABASE__AIRFLOW_URL": "postgresql://airflow:secret@db.test:5432/airflow",
        "DEPOSIT_DATABASE__CA_FILE": str(BUNDLE),
    }
    command = [sys.executable, "-m", "deposit.deploy.rds_urls", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    url = make_url(done.stdout)
    assert not done.stdout.endswith("\n")
    assert url.drivername == f"postgresql+{driver}"
    assert url.query == {"sslmode": "verify-full", "sslrootcert": str(BUNDLE)}
    refused = subprocess.run(
        command, env={"PYTHONPATH": environment["PYTHONPATH"]}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "DEPOSIT_DATABASE__AIRFLOW_URL is not set" in refused.stderr


def test_the_preparation_says_what_it_waits_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = itertools.count(1)
    messages: list[str] = []

    def prepare_rds(_: DatabaseSettings, progress: Callable[[str], None]) -> None:
        progress("databases and roles")
        if next(tries) < 3:
            raise UpstreamError("it does not answer")
        raise RuntimeError

    monkeypatch.setattr(preparation, "prepare_rds", prepare_rds)
    with pytest.raises(RuntimeError):
        preparation.prepare_aws(
            DatabaseSettings(), StoreSettings(), lambda message, done=0, total=0: messages.append(message)
        )
    assert (next(tries), messages) == (4, ["databases and roles"])
