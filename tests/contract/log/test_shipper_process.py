import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deposit.deploy.credentials import SUPERUSER
from deposit.deploy.local import postgres as server
from deposit.errors import ConfigError
from deposit.log import shipper
from deposit.log.entries import encode_entry
from deposit.log.spool import Spool
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers

COMMAND = [str(Path(sys.executable).parent / "deposit"), "shipper"]
BLOCK = 4711
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'deposit shipper' AND wait_event_type = 'Lock'"


def _until(look: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return value


@contextmanager
def _shipping(settings: Settings, log_file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    assert settings.database.writer_url is not None
    environment = {
        "PATH": os.environ["PATH"],
        "DEPOSIT_STATE_DIR": str(settings.state_dir),
        "DEPOSIT_DATABASE__WRITER_URL": settings.database.writer_url.get_secret_value(),
        "DEPOSIT_LOG__POLL_SECONDS": "0.05",
        "DEPOSIT_LOG__SHIP_ROWS": "1000",
    }
    with log_file.open("ab") as output:
        process = subprocess.Popen(COMMAND, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _as_superuser(log: Any, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(log.addresses.superuser) as connection:
        return connection.execute(query, values).fetchall()


def _empty(spool: Spool) -> bool:
    return spool.state().entries == 0


@pytest.mark.parametrize("commits", [True, False], ids=["its commit goes through", "its commit is rolled back"])
def test_killed_while_it_commits_it_neither_loses_nor_doubles(
    log: Any, scored: Callable[..., Any], ranked: Callable[..., Any], tmp_path: Path, commits: bool
) -> None:
    log.ask(f"""
        CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_advisory_xact_lock_shared({BLOCK}); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON predictions_{time.strftime("%Y%m%d", time.gmtime())}
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
    """)
    log.append(scored(3), ranked(500), scored(1))
    try:
        with psycopg.connect(log.addresses.owner, autocommit=True) as blocker:
            blocker.execute(f"SELECT pg_advisory_lock({BLOCK})")
            with _shipping(log.settings, tmp_path / "log") as process:
                ((pid,),) = _until(lambda: _as_superuser(log, WAITING))
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert log.count() == 0
            assert log.spool.state().rows == 5
            if not commits:
                _as_superuser(log, "SELECT pg_terminate_backend(%s)", pid)
            blocker.execute(f"SELECT pg_advisory_unlock({BLOCK})")
        _until(lambda: not _as_superuser(log, "SELECT FROM pg_stat_activity WHERE pid = %s", pid))
        assert log.count() == (504 if commits else 0)
        with _shipping(log.settings, tmp_path / "log"):
            _until(lambda: _empty(log.spool))
    finally:
        log.ask("DROP FUNCTION wait_at_commit CASCADE")
    assert log.count() == 504
    assert log.spool.state().shipped_rows == 5


def test_killed_again_and_again_it_ships_everything_once(log: Any, scored: Callable[..., Any], tmp_path: Path) -> None:
    sent: set[bytes] = set()
    for number in range(6):
        with _shipping(log.settings, tmp_path / "log") as process:
            for _ in range(30):
                requests = [scored(10) for _ in range(10)]
                sent |= {r.prediction_ids[start : start + 16] for r in requests for start in range(0, 160, 16)}
                log.append(*requests)
            if number < 5:
                _until(lambda: log.count() > 0)
                process.send_signal(signal.SIGKILL)
            else:
                _until(lambda: _empty(log.spool))
    assert {id_.bytes for (id_,) in log.ask("SELECT prediction_id FROM predictions")} == sent
    assert log.count() == len(sent) == 18_000


def test_a_signal_ends_it_after_its_batch(log: Any, scored: Callable[..., Any], tmp_path: Path) -> None:
    log.append(scored(100))
    with _shipping(log.settings, tmp_path / "log") as process:
        _until(lambda: _empty(log.spool))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert log.count() == 100


def test_two_shippers_at_once_ship_everything_once(log: Any, scored: Callable[..., Any], tmp_path: Path) -> None:
    log.append(*[scored(10) for _ in range(1000)])
    with _shipping(log.settings, tmp_path / "log"), _shipping(log.settings, tmp_path / "log"):
        _until(lambda: _empty(log.spool))
    assert log.count() == 10_000
    assert log.spool.state().shipped_rows == 10_000


def test_it_outlives_postgresql_and_says_so_twice(
    make_log_database: Callable[..., Any], free_ports: Callable[[int], int], scored: Callable[..., Any], tmp_path: Path
) -> None:
    port, password, folder = free_ports(1), secrets.token_hex(8), tmp_path / "server"
    server.initialise(folder / "cluster", password)
    superuser = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
    settings = Settings(state_dir=tmp_path / "state")
    spool = Spool.of(settings)

    @contextmanager
    def running(stop: signal.Signals) -> Iterator[None]:
        with (tmp_path / "server.log").open("ab") as output:
            process = subprocess.Popen(server.command(folder / "cluster", port), stdout=output, stderr=output)
            try:
                _until(lambda: server.ready(port))
                yield
            finally:
                process.send_signal(stop)
                process.wait(20)

    with running(signal.SIGQUIT):  # as in a crash
        addresses = make_log_database(superuser, "log")
        settings = settings.model_copy(update={"database": DatabaseSettings(writer_url=addresses.writer)})
        shipping = _shipping(settings, tmp_path / "log")
        shipping.__enter__()
        spool.append([encode_entry(scored(5), 5)])
        _until(lambda: _empty(spool))
    try:
        spool.append([encode_entry(scored(7), 7)])
        _until(lambda: "wait in the spool" in (tmp_path / "log").read_text())
        time.sleep(2)  # some attempts fail meanwhile
        assert spool.state().rows == 7
        with running(signal.SIGINT):
            _until(lambda: _empty(spool))
            with psycopg.connect(addresses.owner) as connection:
                assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (12,)
    finally:
        shipping.__exit__(None, None, None)
        spool.close()
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if " INFO " not in line]
    assert ["wait in the spool" in lines[0], "shipping again" in lines[1]] == [True, True], lines
    assert "password" not in "".join(lines)


def test_a_database_without_the_log_is_waited_for(
    postgres: str, scored: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(state_dir=tmp_path / "state", database=DatabaseSettings(writer_url=postgres))
    stop = threading.Event()
    with closing(Spool.of(settings)) as spool:
        spool.append([encode_entry(scored(1), 1)])
        threading.Timer(0.5, stop.set).start()
        shipper.run(settings, stop)
        assert "wait in the spool" in caplog.text
        assert spool.state()[:2] == (1, 1)


@pytest.mark.parametrize(
    ("url", "message"), [(None, "is not set"), ("sqlite:///x", "PostgreSQL"), ("nonsense", "like postgresql://")]
)
def test_a_wrong_address_is_reported(tmp_path: Path, url: str | None, message: str) -> None:
    settings = Settings(state_dir=tmp_path, database=DatabaseSettings(writer_url=url))
    with pytest.raises(ConfigError, match=message):
        shipper.run(settings, threading.Event())
