"""The one-shots `secrets` and `init` on a real PostgreSQL and a real S3 server that were empty before."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy.engine import make_url

from deposit.deploy.bucket_policies import Grant, grants
from deposit.deploy.compose import addresses, preparation, secrets
from deposit.deploy.compose.parts import LINKED
from deposit.deploy.credentials import Credentials, random_credentials, stored_credentials, write_private
from deposit.deploy.servers import database_url
from deposit.errors import UpstreamError
from deposit.release.gateway import Gateway
from deposit.sections import StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
STORE = StoreSettings()
DATABASES = {"deposit": "deposit", "mlflow": "mlflow", "airflow": "airflow", "reader": "deposit", "writer": "deposit"}
"""The one database that each role may enter."""


class Stack(NamedTuple):
    """Servers beside a folder of secrets; `command` prepares them."""

    root: Path
    postgres: str
    object_store: str

    @property
    def secrets(self) -> Credentials:
        return stored_credentials(secrets.vault(self.root))

    @property
    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "deposit.deploy.compose.preparation", "--store=seaweedfs", f"--root={self.root}",
            f"--postgres={self.postgres}", f"--object-store={self.object_store}",
        ]  # fmt: skip

    def prepare(self) -> str:
        """Run `init` to its end; what it told."""
        done = subprocess.run(self.command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def prepare_and_die(self, line: int) -> None:
        """Run `init` and kill it as it tells its n-th step."""
        with subprocess.Popen(self.command, env=self.environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            for _ in range(line):
                assert process.stderr.readline()
            process.kill()

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "DEPOSIT_STATE_DIR": str(self.root / "state")}

    def enter(self, role: str, database: str, password: str | None = None) -> psycopg.Connection:
        known = asdict(self.secrets)[f"postgres_{role}"]
        url = database_url(self.postgres, role, password or known, database)
        return psycopg.connect(url, autocommit=True)

    def grant(self, name: str) -> Grant:
        return next(grant for grant in grants(STORE, self.secrets) if grant.name == name)

    def store(self, name: str) -> ObjectStore:
        secret = self.grant(name).secret
        return ObjectStore(StoreSettings(endpoint_url=self.object_store, access_key=name, secret_key=secret))


@pytest.fixture(scope="module")
def stack(
    postgres: str,
    serve_objects: Callable[[Path], AbstractContextManager[tuple[str, Path]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Prepared servers, whose preparation was killed at each of its steps before."""
    root, server = tmp_path_factory.mktemp("secrets"), make_url(postgres)
    assert server.password
    secrets.vault(root).parent.mkdir()
    known = replace(random_credentials(), postgres_superuser=str(server.password))
    write_private(secrets.vault(root), json.dumps(asdict(known)))
    secrets.make(root, STORE, dict.fromkeys(LINKED, "http://localhost"))
    with serve_objects(root / "store" / "identities.json") as (url, _):
        made = Stack(root, f"{server.host}:{server.port}", url)
        for line in range(1, 5):
            made.prepare_and_die(line)
        made.prepare()
        yield made


def test_it_tells_its_steps_and_no_secret(stack: Stack) -> None:
    steps = stack.prepare()
    assert [line.split()[0] for line in steps.splitlines()] == ["databases,", "buckets", "the", "prepared"]
    assert not [value for value in asdict(stack.secrets).values() if value in steps]


@pytest.mark.parametrize("role", DATABASES)
def test_each_role_enters_its_database_alone(stack: Stack, role: str) -> None:
    stack.enter(role, DATABASES[role]).close()
    for database in {"deposit", "mlflow", "airflow"} - {DATABASES[role]}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            stack.enter(role, database)


@pytest.mark.parametrize("role", DATABASES)
@pytest.mark.parametrize(
    "statement",
    ["CREATE ROLE mine", "CREATE DATABASE mine", "ALTER ROLE reader SUPERUSER", "COPY (SELECT 1) TO PROGRAM 'true'"],
)
def test_no_role_may_do_anything_to_the_server(stack: Stack, role: str, statement: str) -> None:
    with stack.enter(role, DATABASES[role]) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("role", DATABASES)
def test_no_password_but_its_own_opens_a_role(stack: Stack, role: str) -> None:
    for password in ("", role, "postgres", stack.secrets.redis):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(database_url(stack.postgres, role, password, DATABASES[role]))


def test_owners_may_make_tables_and_the_reader_may_only_read(stack: Stack) -> None:
    for role in ("deposit", "mlflow", "airflow"):
        with stack.enter(role, DATABASES[role]) as owner:
            owner.execute("CREATE TABLE IF NOT EXISTS made (a int)")
    with stack.enter("reader", "deposit") as reader:
        reader.execute("SELECT * FROM made, predictions, releases")
        for statement in ("CREATE TABLE mine (a int)", "INSERT INTO made VALUES (1)", "DELETE FROM predictions"):
            with pytest.raises(InsufficientPrivilege):
                reader.execute(statement)


def test_the_writer_adds_to_the_log_and_reads_nothing(stack: Stack) -> None:
    with stack.enter("writer", "deposit") as writer:
        writer.execute("SELECT public.make_prediction_days('{2009-06-01}')")
        for statement in ("SELECT 1 FROM predictions", "SELECT 1 FROM releases", "CREATE TABLE mine (a int)"):
            with pytest.raises(InsufficientPrivilege):
                writer.execute(statement)


def test_a_second_preparation_keeps_what_is_there(stack: Stack) -> None:
    pipeline = stack.store("pipeline")
    pipeline.data.put("kept", b"1")
    with stack.enter("deposit", "deposit") as owner:
        owner.execute("CREATE TABLE kept (a int)")
    stack.prepare()
    assert pipeline.data.get("kept") == b"1"
    with stack.enter("reader", "deposit") as reader:
        reader.execute("SELECT * FROM kept")


@pytest.mark.parametrize("name", ["pipeline", "mlflow", "serving", "airflow"])
def test_each_key_of_the_object_store_opens_its_buckets_alone(stack: Stack, name: str) -> None:
    stack.store("mlflow").bucket(STORE.mlflow_bucket).put("model", b"1")
    grant, store = stack.grant(name), stack.store(name)
    for bucket in (store.bucket(each) for each in store.buckets()):
        if bucket.name in grant.writes:
            bucket.put("own", b"1")
            assert bucket.keys("own") == ["own"]
            bucket.delete("own")
            continue
        for refused in (
            lambda bucket=bucket: bucket.put("model", b"2"),
            lambda bucket=bucket: bucket.delete("model"),
            lambda bucket=bucket: bucket.keys(),
        ):
            with pytest.raises(UpstreamError):
                refused()
        if bucket.name in grant.reads:
            assert bucket.get("model") == b"1"
        else:
            with pytest.raises(UpstreamError):
                bucket.get("model")


def test_a_secret_that_changed_in_the_vault_is_applied(stack: Stack) -> None:
    before = stack.secrets
    write_private(secrets.vault(stack.root), json.dumps(asdict(replace(before, postgres_reader="changed"))))
    stack.prepare()
    stack.enter("reader", "deposit", "changed").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        stack.enter("reader", "deposit", before.postgres_reader)


def test_the_gateway_finds_its_configuration(stack: Stack) -> None:
    assert json.loads((stack.root / "state" / "caddy" / "caddy.json").read_text())["apps"]["http"]["servers"]


def test_servers_that_are_not_there_are_named(
    free_ports: Callable[[int], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "TIMEOUT", 0.0)
    nowhere = f"127.0.0.1:{free_ports(1)}"
    settings = Settings(state_dir=tmp_path)
    with pytest.raises(UpstreamError, match=nowhere) as caught:
        preparation.prepare(
            settings.store,
            Gateway(settings),
            random_credentials(),
            preparation.Store.MINIO,
            nowhere,
            addresses.STORE,
        )
    assert "\n" not in str(caught.value)


def test_without_secrets_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deposit.deploy.compose.preparation", f"--root={tmp_path}"],
        env={"PATH": os.environ["PATH"], "DEPOSIT_STATE_DIR": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot read the secrets" in done.stderr
