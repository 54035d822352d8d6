import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest
import stand_in_grafana
from messages import refuses

from deposit.deploy.credentials import credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local import lifecycle, postgres, processes, supervision
from deposit.deploy.local.programs import programs, settings_of
from deposit.deploy.objectstore import identities
from deposit.errors import ConfigError
from deposit.files import exclusive
from deposit.settings import load_settings


@pytest.fixture
def place() -> Iterator[Layout]:
    folder = Layout(load_settings().state.root)
    folder.make()
    yield folder
    folder.clear_sockets()


def test_secrets_are_made_once_and_for_the_owner_alone(place: Layout) -> None:
    first = credentials(place.secrets)
    assert stat.S_IMODE(place.secrets.stat().st_mode) == 0o600
    assert credentials(place.secrets) == first
    values = list(vars(first).values())
    assert len(set(values)) == len(values)
    assert min(map(len, values)) >= 40


def test_damaged_secrets_are_named(place: Layout) -> None:
    place.secrets.write_text("{}")
    with pytest.raises(ConfigError, match=r"secrets\.json"):
        credentials(place.secrets)


def test_a_stack_of_an_earlier_version_gets_the_secrets_that_it_lacks(place: Layout) -> None:
    first = vars(credentials(place.secrets))
    older = {name: value for name, value in first.items() if name not in {"store_serving", "releaser_key"}}
    place.secrets.write_text(json.dumps(older))
    second = credentials(place.secrets)
    assert vars(second).items() >= older.items()
    assert credentials(place.secrets) == second


def test_services_may_only_read_mlflows_bucket(place: Layout) -> None:
    keys = {
        identity.name: identity.actions for identity in identities(load_settings().store, credentials(place.secrets))
    }
    assert keys["serving"] == ("Read:deposit-mlflow",)


def test_the_stack_needs_no_key_until_one_is_made(place: Layout) -> None:
    variables = settings_of(load_settings(), place, credentials(place.secrets))
    assert variables["DEPOSIT_SERVE__KEYS_FILE"] == str(place.keys)


def test_no_secret_is_on_a_command_line(place: Layout) -> None:
    secrets = credentials(place.secrets)
    for program in programs(load_settings(), place, secrets):
        assert not [value for value in vars(secrets).values() if value in " ".join(program.command)]
        assert not [value for value in vars(secrets).values() if value in repr(program)]


def test_each_part_is_given_only_its_own_secrets(
    place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPOSIT_STACK__GRAFANA", str(stand_in_grafana.install(tmp_path / "grafana")))
    secrets = credentials(place.secrets)
    allowed = {
        "mlflow": {secrets.postgres_mlflow, secrets.store_mlflow},
        "shipper": {secrets.postgres_writer},
        "grafana": {secrets.postgres_reader, secrets.grafana_admin},
        **{f"airflow-{part}": {
               secrets.postgres_airflow, secrets.airflow_jwt, secrets.airflow_fernet, secrets.store_pipeline,
           } for part in ("api-server", "scheduler", "dag-processor", "triggerer")},
    }  # fmt: skip
    parts = programs(load_settings(), place, secrets)
    assert allowed.keys() < {program.name for program in parts}
    for program in parts:
        seen = {value for value in vars(secrets).values() if value in " ".join(program.environment.values())}
        assert seen <= allowed.get(program.name, set()), program.name


def test_the_pipelines_key_cannot_touch_mlflows_bucket(place: Layout) -> None:
    keys = {
        identity.name: identity.actions for identity in identities(load_settings().store, credentials(place.secrets))
    }
    assert not [action for action in keys["pipeline"] if "mlflow" in action]
    assert {action.partition(":")[2] for action in keys["mlflow"]} == {"deposit-mlflow"}


def test_supervisor_sees_a_change_of_a_command_or_an_environment_and_no_value_of_either(place: Layout) -> None:
    def section(command: list[str], environment: dict[str, str]) -> str:
        return supervision.configuration(place, [lifecycle.Program("part", command, environment)])

    first = section(["/a b/run", "100%"], {"KEY": "hush; 50% off"})
    assert first == section(["/a b/run", "100%"], {"KEY": "hush; 50% off"})
    assert first != section(["/a b/run", "99%"], {"KEY": "hush; 50% off"})
    assert first != section(["/a b/run", "100%"], {"KEY": "another"})
    assert "hush" not in first


def test_a_taken_port_is_named_with_its_holder_and_its_setting() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with refuses(ConfigError, rf"port {port} \(DEPOSIT_STACK__GATEWAY_PORT\).*pid {os.getpid()}"):
            processes.require_free({"DEPOSIT_STACK__GATEWAY_PORT": port})


def test_the_settings_it_writes_are_settings_it_reads(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    for name, value in settings_of(settings, place, credentials(place.secrets)).items():
        monkeypatch.setenv(name, value)
    again = load_settings()
    assert again.stack == settings.stack
    assert again.database.url is not None


def test_who_stops_a_stack_waits_for_who_starts_it(place: Layout) -> None:
    messages: SimpleQueue[str] = SimpleQueue()
    stop = Thread(target=lifecycle.down, args=(place, lambda message, *_: messages.put(message)))
    with exclusive(place.lock, lambda _: None):
        stop.start()
        assert messages.get(timeout=60) == f"waiting for {place.lock.read_text()}, which starts or stops this stack"
        assert messages.empty()
    assert messages.get(timeout=60) == "stopping the stack"
    stop.join()


def test_parts_are_given_no_folder_for_temporary_files_that_they_cannot_use(
    place: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, given in ((tmp_path, str(tmp_path)), (tmp_path / "none", None)):
        monkeypatch.setenv("TMPDIR", str(folder))
        assert supervision.own_environment(place).get("TMPDIR") == given
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(supervision, "TEMPORARY_DISK", shutil.disk_usage(tmp_path).total)
    assert "TMPDIR" not in supervision.own_environment(place)


def test_a_user_without_a_name_is_told_that_postgres_needs_one(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        monkeypatch.context() as process,
        refuses(ConfigError, "the user 54321 has no name on this machine.* /etc/passwd"),
    ):
        process.setattr(os, "geteuid", lambda: 54321)
        postgres.initialise(place.cluster, "")
    assert not list(place.root.glob("postgres*"))


def test_looking_at_a_stack_that_was_never_started_makes_none() -> None:
    settings = load_settings()
    assert {part.state for part in lifecycle.status(settings)} == {"stopped"}
    assert not settings.state_dir.exists()
    with pytest.raises(ConfigError, match="deposit up"):
        lifecycle.environment(settings)
