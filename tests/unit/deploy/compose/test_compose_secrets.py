import configparser
import json
import os
import re
import stat
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from deposit import keys
from deposit.deploy.compose import secrets
from deposit.deploy.compose.parts import DEPOSIT, LINKED, service_secrets
from deposit.deploy.credentials import Credentials, random_credentials, stored_credentials
from deposit.errors import ConfigError
from deposit.sections import StoreSettings

STORE = StoreSettings()
LINKS = {name: f"http://localhost/{name}" for name in LINKED}
FILES = {
    "postgres": {"password"},
    "store": {"root_user", "root_password", "identities.json", "security.toml", "guard.crt", "guard.key"},
    "mlflow": {"pgpass", "aws_credentials"},
    "airflow": {
        "sql_alchemy_conn", "fernet_key", "jwt_secret", "passwords.json", "connections.json", "database_url",
        "store_secret_key", "api_key", "broker_url", "result_backend",
        "link_api", "link_mlflow", "link_grafana", "link_store",
    },
    "releaser": {"database_url", "store_secret_key", "service_key", "serving_key_sha256"},
    "shipper": {"writer_url"},
    "serving": {"store_secret_key"},
    "grafana": {"admin_password", "database_password"},
    "redis": {"redis.conf"},
}  # fmt: skip
MAY_SEE = {
    "postgres": {"postgres_superuser"},
    "store": {"store_admin", "store_pipeline", "store_mlflow", "store_serving", "store_airflow"},
    "mlflow": {"postgres_mlflow", "store_mlflow"},
    "airflow": {
        "postgres_airflow", "postgres_deposit", "store_pipeline", "store_airflow", "airflow_admin",
        "airflow_jwt", "airflow_fernet", "api_airflow", "redis",
    },
    "releaser": {"postgres_deposit", "store_pipeline", "releaser_key"},
    "shipper": {"postgres_writer"},
    "serving": {"store_serving"},
    "grafana": {"grafana_admin", "postgres_reader"},
    "redis": {"redis"},
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A volume folder that `secrets` has been run on once."""
    secrets.make(tmp_path / "secrets", STORE, LINKS)
    return tmp_path / "secrets"


def written(root: Path) -> dict[str, tuple[bytes, int, int, int]]:
    files = [(path, path.stat()) for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): (path.read_bytes(), state.st_mtime_ns, state.st_ino, state.st_uid)
        for path, state in files
    }


def contents(credentials: Credentials) -> dict[str, dict[str, str]]:
    return {part.name: part.files for part in service_secrets(STORE, credentials, LINKS)}


def test_every_part_gets_its_files(root: Path) -> None:
    assert {name: set(files) for name, files in contents(random_credentials()).items()} == FILES
    for name, files in FILES.items():
        assert {path.name for path in (root / name).iterdir()} == files


def test_all_is_closed_to_others(root: Path) -> None:
    for path in root.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        for file in path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_each_folder_belongs_to_the_user_of_its_part(root: Path) -> None:
    users = {part.name: part.user for part in service_secrets(STORE, random_credentials(), LINKS)} | {
        "vault": 10001,
        "keys": 10001,
    }
    assert users["postgres"] == users["redis"] == 999
    assert users["grafana"] == 472
    for name, user in users.items():
        for path in (root / name, *(root / name).iterdir()):
            assert (path.stat().st_uid, path.stat().st_gid) == (user, user), path


def test_without_root_the_files_stay_with_the_user_who_is_informed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    messages: list[str] = []
    secrets.make(tmp_path / "secrets", STORE, LINKS, lambda message, done=0, total=0: messages.append(message))
    assert messages[0] == "not run as root: every file stays with this user"
    assert {path.stat().st_uid for path in (tmp_path / "secrets").rglob("*")} == {os.getuid()}


def test_a_second_run_changes_nothing(root: Path) -> None:
    before = written(root)
    secrets.make(root, STORE, LINKS)
    assert written(root) == before


def test_what_was_lost_or_damaged_comes_back_as_it_was(root: Path) -> None:
    before = {name: content for name, (content, *_) in written(root).items()}
    (root / "mlflow" / "pgpass").unlink()
    (root / "airflow" / "fernet_key").write_text("x")
    (root / "redis" / ".redis.conf-left-by-a-kill").write_text("half")
    (root / "grafana" / "admin_password").chmod(0o644)
    secrets.make(root, STORE, LINKS)
    assert {name: content for name, (content, *_) in written(root).items()} == before
    test_all_is_closed_to_others(root)


def test_a_younger_version_adds_what_it_needs_and_keeps_the_rest(root: Path) -> None:
    vault = root / "vault" / "secrets.json"
    older = json.loads(vault.read_text())
    for name in ("redis", "grafana_admin", "store_airflow"):
        del older[name]
    vault.write_text(json.dumps(older))
    secrets.make(root, STORE, LINKS)
    newer = json.loads(vault.read_text())
    assert newer.items() > older.items()
    assert newer["redis"] in (root / "redis" / "redis.conf").read_text()


def test_a_secret_changed_in_the_vault_reaches_its_parts(root: Path) -> None:
    vault = root / "vault" / "secrets.json"
    vault.write_text(json.dumps(json.loads(vault.read_text()) | {"postgres_reader": "changed"}))
    secrets.make(root, STORE, LINKS)
    assert (root / "grafana" / "database_password").read_text() == "changed"


def test_a_secret_can_be_renewed_and_the_others_stay(root: Path) -> None:
    before = asdict(stored_credentials(root / "vault" / "secrets.json"))
    secrets.make(root, STORE, LINKS, renew=["postgres_reader", "store_serving"])
    after = asdict(stored_credentials(root / "vault" / "secrets.json"))
    assert {name for name in after if after[name] != before[name]} == {"postgres_reader", "store_serving"}
    assert (root / "serving" / "store_secret_key").read_text() == after["store_serving"]
    test_all_is_closed_to_others(root)


@pytest.mark.parametrize("name", ["airflow_fernet", "postgres_superuser", "grafana_admin", "api_marketing", "unknown"])
def test_what_data_was_made_with_is_not_renewed(root: Path, name: str) -> None:
    before = written(root)
    with pytest.raises(ConfigError, match=f"cannot renew {name}: renewable are airflow_admin"):
        secrets.make(root, STORE, LINKS, renew=["redis", name])
    assert written(root) == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"redis": "x"}', "\x00", '{"redis": 1'])
def test_a_damaged_vault_is_an_error_that_quotes_nothing(root: Path, content: str) -> None:
    before = written(root / "airflow")
    (root / "vault" / "secrets.json").write_text(content)
    with pytest.raises(ConfigError, match=r"secrets\.json is damaged") as caught:
        secrets.make(root, STORE, LINKS)
    assert "\n" not in str(caught.value)
    assert written(root / "airflow") == before


def test_an_empty_secret_is_damage(root: Path) -> None:
    vault = root / "vault" / "secrets.json"
    vault.write_text(json.dumps(json.loads(vault.read_text()) | {"redis": ""}))
    with pytest.raises(ConfigError, match="damaged"):
        stored_credentials(vault)


def test_a_lost_vault_is_not_made_anew_beside_servers_that_know_the_old_one(root: Path) -> None:
    (root / "vault" / "secrets.json").unlink()
    with pytest.raises(ConfigError, match="docker compose down --volumes"):
        secrets.make(root, STORE, LINKS)


def test_a_start_that_was_killed_after_the_vault_goes_on_with_it(tmp_path: Path) -> None:
    secrets.make(tmp_path, STORE, LINKS)
    vault = (tmp_path / "vault" / "secrets.json").read_bytes()
    for name in ("postgres", "airflow", "keys"):
        for file in (tmp_path / name).iterdir():
            file.unlink()
    secrets.make(tmp_path, STORE, LINKS)
    assert (tmp_path / "vault" / "secrets.json").read_bytes() == vault


def test_two_first_starts_at_once_make_one_set(tmp_path: Path) -> None:
    threads = [threading.Thread(target=secrets.make, args=(tmp_path, STORE, LINKS)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = stored_credentials(tmp_path / "vault" / "secrets.json")
    assert (tmp_path / "postgres" / "password").read_text() == stored.postgres_superuser
    digests = {key.name: key.sha256 for key in keys.read(tmp_path / "keys" / "keys.json").keys}
    assert digests["marketing"] == keys.digest(stored.api_marketing)


def test_the_api_begins_closed_with_three_keys(root: Path) -> None:
    stored, admitted = stored_credentials(root / "vault" / "secrets.json"), keys.read(root / "keys" / "keys.json")
    assert not admitted.open
    assert {key.name: (key.sha256, set(key.roles)) for key in admitted.keys} == {
        "marketing": (keys.digest(stored.api_marketing), {"predict", "outcomes"}),
        "admin": (keys.digest(stored.api_admin), {"admin"}),
        "airflow": (keys.digest(stored.api_airflow), {"predict", "outcomes", "admin"}),
    }


def test_keys_that_a_person_changed_stay_so(root: Path) -> None:
    path = root / "keys" / "keys.json"
    keys.remove(path, "marketing")
    keys.add(path, "branch", ["predict"])
    changed = path.read_bytes()
    secrets.make(root, STORE, LINKS)
    assert path.read_bytes() == changed


def test_no_part_sees_a_secret_of_another() -> None:
    credentials = random_credentials()
    for name, files in contents(credentials).items():
        text = "\n".join(files.values())
        assert {secret for secret, value in asdict(credentials).items() if value in text} == MAY_SEE[name], name


def test_neither_credentials_nor_parts_show_a_secret_when_printed() -> None:
    credentials = random_credentials()
    text = repr(credentials) + repr(service_secrets(STORE, credentials, LINKS))
    assert not [value for value in asdict(credentials).values() if value in text]


def test_mlflows_files_are_what_libpq_and_aws_read() -> None:
    credentials = random_credentials()
    files = contents(credentials)["mlflow"]
    assert files["pgpass"] == f"postgres:5432:mlflow:mlflow:{credentials.postgres_mlflow}\n"
    parsed = configparser.ConfigParser()
    parsed.read_string(files["aws_credentials"])
    assert dict(parsed["default"]) == {
        "aws_access_key_id": "mlflow",
        "aws_secret_access_key": credentials.store_mlflow,
    }


def test_urls_name_the_parts_of_the_compose_file() -> None:
    credentials = random_credentials()
    files = contents(credentials)
    secret = credentials.postgres_airflow
    airflow = files["airflow"]
    assert airflow["sql_alchemy_conn"] == f"postgresql+psycopg2://airflow:{secret}@postgres:5432/airflow"
    assert airflow["result_backend"] == f"db+postgresql://airflow:{secret}@postgres:5432/airflow"
    assert airflow["broker_url"] == f"redis://:{credentials.redis}@redis:6379/0"
    for url, user in ((airflow["database_url"], "deposit"), (files["shipper"]["writer_url"], "writer")):
        parsed = make_url(url)
        assert (parsed.username, parsed.host, parsed.port, parsed.database) == (user, "postgres", 5432, "deposit")


def test_airflows_connections_carry_the_least() -> None:
    credentials = random_credentials()
    connections = json.loads(contents(credentials)["airflow"]["connections.json"])
    keys = {"deposit_store": credentials.store_airflow, "aws_default": credentials.store_pipeline}
    assert {name: each["password"] for name, each in connections.items()} == keys
    assert {name: each["login"] for name, each in connections.items()} == {
        "deposit_store": "airflow",
        "aws_default": "pipeline",
    }
    for connection in connections.values():
        assert json.loads(connection["extra"])["endpoint_url"] == "http://object-store:9000"


def test_airflow_leads_to_where_people_reach_the_other_parts() -> None:
    files = contents(random_credentials())["airflow"]
    assert {name: files[f"link_{name}"] for name in LINKED} == LINKS


def test_the_command_prints_what_it_did_and_no_secret(tmp_path: Path) -> None:
    for name in ("data", "grafana"):
        (tmp_path / name).mkdir()
    command = [
        sys.executable, "-m", "deposit.deploy.compose.secrets", f"--root={tmp_path}", f"--places={tmp_path / 'data'}",
        f"--grafana={tmp_path / 'grafana'}",
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "airflow: 14 new of 14 files" in first.stderr
    assert "keys: made" in first.stderr
    assert re.findall(r": (\S+) new of", second.stderr) == ["no"] * 9
    vault = json.loads((tmp_path / "vault" / "secrets.json").read_text())
    assert not [value for value in vault.values() if value in first.stdout + first.stderr]


def test_what_grafana_reads_of_a_clone_is_opened_for_its_user(tmp_path: Path) -> None:
    clone = tmp_path / "grafana"
    (clone / "provisioning").mkdir(parents=True)
    (clone / "provisioning" / "one.yml").touch()
    for path, mode in ((clone / "provisioning" / "one.yml", 0o600), (clone / "provisioning", 0o700), (clone, 0o700)):
        path.chmod(mode)
    secrets.open_to_readers(clone)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (clone, *sorted(clone.rglob("*")))] == [0o755, 0o755, 0o644]


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "secrets.json").write_text("{}")
    command = [sys.executable, "-m", "deposit.deploy.compose.secrets", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_in_env_or_the_shell_is_rejected_before_anything_is_created(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deposit.deploy.compose.secrets", "--root", str(tmp_path / "none")]
    # names from .env come with their values, names from the shell of `make up` without
    for given in ({"DEPOSIT_TRIAN__TRIALS": "3"}, {"SHELL_SETTINGS": "DEPOSIT_STATE_DIR DEPOSIT_TRIAN__TRIALS"}):
        done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "unknown setting DEPOSIT_TRIAN__TRIALS: did you mean DEPOSIT_TRAIN__TRIALS?" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_places_are_given_to_the_parts_user_and_what_they_hold_is_left(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "held").write_text("")
    secrets.change_owner(tmp_path)
    assert (tmp_path / "objects").stat().st_uid == DEPOSIT
    assert (tmp_path / "objects" / "held").stat().st_uid == 0
