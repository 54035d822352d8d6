import os
import secrets
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
from secured import SecuredDatabase, tls_in_front, write_authority, write_server
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from deposit.data import ingest, periods, sources
from deposit.database import connect, migrate
from deposit.deploy import objectstore
from deposit.deploy.layout import Layout
from deposit.deploy.local import postgres as postgres_server
from deposit.errors import UpstreamError
from deposit.progress import log_progress
from deposit.sections import DatabaseSettings, IngestSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

# a machine may be busy: nothing is asserted about time
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
# here, not on the command line: what they import is measured then
pytest_plugins = [
    "served",
    "monitored",
    "simulated_aws.server",
    "registry_server",
    "released",
    "ecs_cloud",
    "terraformed",
]
START_SECONDS = 60
SHARED = "tests/contract/training/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files go to workers as they are free; those of trainings to one, as each worker would train and start MLflow."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SHARED if nodeid.startswith(SHARED) else str(super()._split_scope(nodeid))

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stack that runs on this machine is neither seen nor touched."""
    for name in os.environ:
        if name.startswith("DEPOSIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], int]:
    """First of `count` neighbouring ports on 127.0.0.1 that are free now."""
    return _free_ports


@pytest.fixture(scope="session")
def make_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Makes databases in a real PostgreSQL, empty or as another one is; gives their URLs."""
    folder, port, password = tmp_path_factory.mktemp("postgres"), _free_ports(1), secrets.token_hex(8)
    with warnings.catch_warnings(action="ignore"):  # the package warns at import where XDG_RUNTIME_DIR is not set
        postgres_server.initialise(folder / "cluster", password)
    admin = f"postgresql+psycopg://{postgres_server.SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")

    def answers() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def make(template: str = "template1") -> str:
        name = f"test_{secrets.token_hex(6)}"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return make_url(admin).set(database=name).render_as_string(hide_password=False)

    with _running(postgres_server.command(folder / "cluster", port), folder / "log", signal.SIGINT):
        _wait(answers, OperationalError, folder / "log")
        yield make
        engine.dispose()


@pytest.fixture(scope="session")
def secured_database(
    make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredDatabase]:
    """A real PostgreSQL that takes TLS alone, its certificate by an authority of its own."""
    folder, plain = tmp_path_factory.mktemp("secured"), make_url(make_database())
    ca_file, stranger = folder / "ours.pem", folder / "stranger.pem"
    certificate, key = write_server("ours", write_authority("ours", ca_file), folder)
    write_authority("stranger", stranger)
    with tls_in_front(plain.port or 0, certificate, key) as port:
        yield SecuredDatabase(port, str(plain.password), ca_file, stranger)


@pytest.fixture(scope="session")
def postgres(make_database: Callable[[], str]) -> str:
    """URL of an empty database in a real PostgreSQL, shared by the session."""
    return make_database()


@pytest.fixture(scope="session")
def migrated(make_database: Callable[..., str]) -> str:
    """The name of a database that nobody uses, with the newest schema: a copy costs a tenth of a migration."""
    engine = connect(DatabaseSettings(url=make_database()))
    migrate(engine)
    engine.dispose()
    return str(engine.url.database)


@pytest.fixture
def database(make_database: Callable[..., str], migrated: str) -> DatabaseSettings:
    """A database of the test's own, with the newest schema."""
    return DatabaseSettings(url=make_database(migrated))


@pytest.fixture(scope="session")
def serve_objects(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Path], AbstractContextManager[tuple[str, Path]]]:
    """Starts a real S3 server (SeaweedFS) with an identities file; its URL and its log, before it is ready."""

    @contextmanager
    def serve(identities: Path) -> Iterator[tuple[str, Path]]:
        place, port = Layout(tmp_path_factory.mktemp("objects")), _free_ports(1)
        place.make()
        place.identities.write_bytes(identities.read_bytes())
        objectstore.write(place.guard, secrets.token_hex(8))
        log = place.logs / "output"
        # its data is thrown away; SIGTERM takes it 15 s
        with _running(objectstore.command(place, port, _free_ports(10)), log, signal.SIGKILL, place.root):
            yield f"http://127.0.0.1:{port}", log

    return serve


@pytest.fixture(scope="session")
def object_store(
    tmp_path_factory: pytest.TempPathFactory, serve_objects: Callable[[Path], AbstractContextManager[tuple[str, Path]]]
) -> Iterator[StoreSettings]:
    """A real S3 server with the product's buckets, shared by the session."""
    identity = objectstore.Identity("test", "test-key", secrets.token_hex(8), ("Admin",))
    identities = tmp_path_factory.mktemp("identities") / "identities.json"
    identities.write_text(objectstore.identities_file([identity]))
    with serve_objects(identities) as (url, log):
        settings = StoreSettings(endpoint_url=url, access_key=identity.access_key, secret_key=identity.secret_key)
        _wait(ObjectStore(settings).ensure_buckets, UpstreamError, log)
        yield settings


@pytest.fixture
def empty_store(object_store: StoreSettings) -> StoreSettings:
    """The real S3 server with nothing in the data bucket."""
    bucket = ObjectStore(object_store).data
    for key in bucket.keys():  # noqa: SIM118 - a method of its own, not a mapping's
        bucket.delete(key)
    return object_store


@pytest.fixture
def servers(database: DatabaseSettings, empty_store: StoreSettings, tmp_path: Path) -> Settings:
    """Settings of real, empty servers."""
    return Settings(state_dir=tmp_path / "state", database=database, store=empty_store)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The real rows as a dataset version holds them."""
    folder: Path = tmp_path_factory.mktemp("history")
    rows = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
    dated = rows.assign(period=periods.assign(rows["month"], 2008, 2026)).reset_index(drop=True)
    texts = {name: dated[name].astype("str") for name in dated if isinstance(dated[name].dtype, pd.CategoricalDtype)}
    return dated.assign(**texts)


@contextmanager
def _running(command: list[str], log: Path, stop: signal.Signals, folder: Path | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
        finally:
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(look: Callable[[], None], not_yet: type[Exception], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return look()
        except not_yet as error:
            if time.monotonic() > deadline:
                pytest.fail(f"{error}; its log ends: {log.read_text()[-2000:]}")
            time.sleep(0.2)


def _free_ports(count: int) -> int:
    for _ in range(100):
        first = 20_000 + secrets.randbelow(12_000)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    pytest.fail(f"no {count} neighbouring free ports on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
