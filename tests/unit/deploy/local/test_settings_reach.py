"""Without Docker every setting reaches the parts that go by it, or `deposit up` refuses it by name."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import stand_in_grafana
from messages import refuses
from pydantic import SecretStr

from deposit.deploy import objectstore
from deposit.deploy.credentials import random_credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local.programs import programs, settings_of, stack_variables
from deposit.deploy.local.refused_settings import ON_AWS_ALONE, WITH_DOCKER_ALONE, report_unread, require_possible
from deposit.errors import ConfigError
from deposit.release.caddy import config
from deposit.release.targets.environment import service_variables
from deposit.settings import Settings, chosen_settings, load_settings, service_settings, setting_names
from deposit.variables import file_of

SECRETS = random_credentials()
TEXT = """o'dd "text" $HOME ${PATH} %(here)s 100% #1 back\\slash é"""
ODD: dict[str, str] = {
    "DEPOSIT_INGEST__SOURCE": "postgres",
    "DEPOSIT_INGEST__SCHEDULE": "30 5 3 * *",
    "DEPOSIT_SCORE__SCHEDULE": "30 5 * * *",
    "DEPOSIT_COMPUTE__SCHEDULER": "tls://dask.bank.example:8786",
    "DEPOSIT_ARCHIVE__SCHEDULE": "0 4 2 * *",
    "DEPOSIT_INGEST__S3_URI": "s3://bank/{month}/%20 $HOME/'*'.csv",
    "DEPOSIT_INGEST__ACCEPT": '["gaps", "future"]',
    "DEPOSIT_INGEST__FIRST_YEAR": "1999",
    "DEPOSIT_ECONOMICS__CAPACITY": "500",
    "DEPOSIT_SELECT__RULE": "accuracy_f1",
    "DEPOSIT_RELEASE__TARGET": "docker",
    "DEPOSIT_RELEASE__MEMORY_LIMIT": "1.5g",
    "DEPOSIT_RELEASE__ARCHITECTURE": "arm64",
    "DEPOSIT_LOG__HANDOVER_URI": "s3://bucket/spool/",
    "DEPOSIT_LOG__STOP_SECONDS": "2.5",
    "DEPOSIT_GATEWAY__LISTEN": "127.0.0.9",
    "DEPOSIT_GATEWAY__TLS": "internal",
    "DEPOSIT_GATEWAY__NAMES": '["bank.example"]',
    "DEPOSIT_GATEWAY__ACCESS_LOG": "stdout",
    "DEPOSIT_SERVE__RELEASER_KEY_SHA256": "a" * 64,
    "DEPOSIT_SERVE__RATE_PER_SECOND": "2.5",
    "DEPOSIT_LOG__RETENTION_DAYS": "31",
    "DEPOSIT_LOG__DESTINATION": "database",
    "DEPOSIT_SERVE__CATALOG_URI": "s3://bentos/catalog.json",
    "DEPOSIT_SERVE__MAX_ANSWER_BYTES": "5000000",
}
"""Those whose values are not any text, number or file."""
CERTIFICATE = {
    "DEPOSIT_GATEWAY__TLS": "files",
    "DEPOSIT_GATEWAY__CERTIFICATE_FILE": "/chain.pem",
    "DEPOSIT_GATEWAY__KEY_FILE": "/key.pem",
}
BESIDE = {
    "DEPOSIT_GATEWAY__CERTIFICATE_FILE": CERTIFICATE,
    "DEPOSIT_GATEWAY__KEY_FILE": CERTIFICATE,
    "DEPOSIT_DATABASE__IAM": {"DEPOSIT_DATABASE__CA_FILE": "/bundle.pem"},
}
"""What else must be set for a setting to mean anything."""
FILES = ("_FILE", "__PATH", "__WORKSPACE", "DEPOSIT_PYTHON")
SERVICE = {
    name
    for name in setting_names()
    if name.startswith("DEPOSIT_SERVE__")
    or name.removeprefix("DEPOSIT_")
    in {
        "LOG__SPOOL_MAX_BYTES", "LOG__RESERVE_BYTES", "STORE__REGION",
        "ECONOMICS__DEPOSIT_VALUE", "ECONOMICS__CALL_COST", "ECONOMICS__CAPACITY",
        "EXPIRY__STALE_AFTER", "EXPIRY__REPLACE_AFTER",
    }
}  # fmt: skip
"""What the code in `bento/` reads of its settings."""
AT_START = ("DEPOSIT_STACK__", "DEPOSIT_GATEWAY__", "DEPOSIT_LINKS__", "DEPOSIT_MONITOR__WORKSPACE", "DEPOSIT_STORE__")
"""What decides how parts that are not ours are started: PostgreSQL, Caddy, MLflow, the object store, Airflow's UI."""


def odd(name: str, folder: Path) -> str:
    """A valid value that is not the default."""
    default = setting_names()[name][1]
    if name in ODD:
        return ODD[name]
    if name.endswith(FILES):
        return str(folder / TEXT)
    if name == "DEPOSIT_STACK__GRAFANA":
        return str(folder / TEXT / "bin" / "grafana")
    if isinstance(default, bool):
        return str(not default)
    if isinstance(default, int):
        return str(default + 1)
    return str(default * 1.01) if isinstance(default, float) else TEXT


def value(settings: Settings, name: str) -> Any:
    current: Any = settings
    for part in name.removeprefix("DEPOSIT_").lower().split("__"):
        current = getattr(current, part)
    return current


@pytest.fixture
def place() -> Iterator[Layout]:
    folder = Layout(load_settings().state.root)
    folder.make()
    yield folder
    folder.clear_sockets()


@pytest.fixture
def read_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Settings], Mapping[str, str]], Settings]:
    """Settings as a process with these variables, and no others of ours, reads them."""

    def read(reader: Callable[[], Settings], environ: Mapping[str, str]) -> Settings:
        with monkeypatch.context() as process:
            for name in [name for name in os.environ if name.startswith("DEPOSIT_")]:
                process.delenv(name)
            for name, text in environ.items():
                process.setenv(name, text)
            return reader()

    return read


@pytest.mark.parametrize("name", sorted(setting_names().keys() - {"DEPOSIT_STATE_DIR"}))
def test_a_setting_reaches_the_parts_or_is_refused(name: str, place: Layout, tmp_path: Path, read_by: Any) -> None:
    at = {"DEPOSIT_STATE_DIR": str(place.root)}
    if name.startswith("DEPOSIT_STACK__GRAFANA"):
        at["DEPOSIT_STACK__GRAFANA"] = str(stand_in_grafana.install(tmp_path / TEXT))
    settings = read_by(chosen_settings, at | BESIDE.get(name, {}) | {name: odd(name, tmp_path)})
    wanted = value(settings, name)
    assert wanted != setting_names()[name][1]
    if name in WITH_DOCKER_ALONE | ON_AWS_ALONE | stack_variables(settings.stack, place, SECRETS).keys():
        with refuses(ConfigError, name) as refused:
            require_possible(settings, place, SECRETS)
        assert odd(name, tmp_path) not in refused.value.whole
        return
    require_possible(settings, place, SECRETS)
    parts = {part.name: part for part in programs(settings, place, SECRETS)}

    # the releaser, Airflow's tasks and commands in other shells
    place.settings_file.write_text(file_of(settings_of(settings, place, SECRETS)))
    loaded = read_by(load_settings, at)
    assert value(loaded, name) == wanted
    if not isinstance(wanted, SecretStr):
        variables = parts["shipper"].environment
        assert value(read_by(service_settings, variables), name) == wanted
    if name in SERVICE:
        (tmp_path / "key").write_text("of the store")
        assert value(read_by(service_settings, service_variables(loaded, tmp_path / "key")), name) == wanted
    if name.startswith(AT_START):
        text = str(wanted) if isinstance(wanted, Path | str) else json.dumps(wanted)
        keys = objectstore.identities_file(objectstore.identities(settings.store, SECRETS))
        caddy = json.dumps(config(loaded, place.caddy / "upstream", place.caddy / "login", place.logs / "access.log"))
        seen = [keys, caddy, *(" ".join([*part.command, *part.environment.values()]) for part in parts.values())]
        assert any(form in each for each in seen for form in (text, json.dumps(text)[1:-1]))


def test_the_folder_is_given_to_each_part_and_not_written_down(place: Layout) -> None:
    parts = programs(load_settings(), place, SECRETS)
    readers = {part.name for part in parts if part.environment.get("DEPOSIT_STATE_DIR") == str(place.root)}
    assert readers == {part.name for part in parts} - {"postgres", "objectstore", "mlflow", "gateway", "evidently"}
    assert "DEPOSIT_STATE_DIR" not in settings_of(load_settings(), place, SECRETS)


def test_a_default_is_not_written_down(place: Layout) -> None:
    variables = settings_of(chosen_settings(), place, SECRETS)
    own = stack_variables(chosen_settings().stack, place, SECRETS)
    assert variables.keys() == own.keys() | {"DEPOSIT_SERVE__KEYS_FILE"}


def test_what_is_no_longer_set_goes_back_to_its_default(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as first:
        first.setenv("DEPOSIT_TRAIN__TRIALS", "2")
        place.settings_file.write_text(file_of(settings_of(chosen_settings(), place, SECRETS)))
    assert load_settings().train.trials == 2
    place.settings_file.write_text(file_of(settings_of(chosen_settings(), place, SECRETS)))
    assert load_settings().train.trials == 20


def test_what_the_stack_makes_may_be_set_to_just_that(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in settings_of(chosen_settings(), place, SECRETS).items():  # as by `deposit env`
        monkeypatch.setenv(name, text)
    require_possible(chosen_settings(), place, SECRETS)


def test_a_value_by_file_reaches_the_parts(place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("user:s3cret\n")
    monkeypatch.setenv("DEPOSIT_INGEST__KAGGLE_TOKEN_FILE", str(tmp_path / "token"))
    assert settings_of(chosen_settings(), place, SECRETS)["DEPOSIT_INGEST__KAGGLE_TOKEN"] == "user:s3cret"


def test_a_changed_setting_has_the_releaser_started_anew(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {part.name: part for part in programs(chosen_settings(), place, SECRETS)}
    monkeypatch.setenv("DEPOSIT_SERVE__MAX_CUSTOMERS", "5")
    after = {part.name: part for part in programs(chosen_settings(), place, SECRETS)}
    assert {name for name in before if before[name] != after[name]} == {"releaser", "shipper"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_that_compose_reads_is_told_of_where_nobody_reads_it(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    written = (
        "# none\r\nCOMPOSE_PROFILES=celery\r\n#DEPOSIT_STORE__REGION=\r\nexport DEPOSIT_STACK__STORE_PORT=9001\r\n"
    )
    for lines, expected in (("", 0), (written.partition("export")[0], 0), (written, 1)):
        (tmp_path / ".env").write_text(lines, encoding)
        report_unread(tmp_path, lambda message, *_: told.append(message))
        assert len(told) == expected
    assert told == [f"the settings in {tmp_path / '.env'} apply only with Docker: without it, export them in the shell"]
    monkeypatch.setenv("DEPOSIT_STACK__STORE_PORT", "9001")
    report_unread(tmp_path, lambda message, *_: told.append(message))
    report_unread(tmp_path / "none", lambda message, *_: told.append(message))
    assert len(told) == 1
