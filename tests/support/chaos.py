"""What chaos tests stop, kill and put under load: a PostgreSQL, the shipper, clients."""

import http.client
import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from deposit.database import connect, migrate
from deposit.deploy.credentials import SUPERUSER
from deposit.deploy.local import postgres
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

WAIT = 60
CLIENTS = 4


def until(look: Callable[[], bool], seconds: float = WAIT) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if look():
            return
        ended = time.monotonic()
        assert ended < deadline, "waited in vain"
        time.sleep(pause_after(ended - began))


def pause_after(look: float) -> float:
    """Seconds until the next look: what is waited for needs the processor more than one that took so long does."""
    return min(max(0.02, 4 * look), 2)


class Postgres:
    """A PostgreSQL of the test's own, which it may stop in any way; the schema is the newest."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._password = secrets.token_hex(8)
        self._process: psutil.Popen | None = None
        postgres.initialise(folder / "cluster", self._password)

    @property
    def settings(self) -> DatabaseSettings:
        url = f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/postgres"
        return DatabaseSettings(url=url, writer_url=url)

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            command = postgres.command(self._folder / "cluster", self._port)
            self._process = psutil.Popen(command, stdout=log, stderr=log)
        until(lambda: postgres.ready(self._port))

    def migrate(self) -> None:
        engine = connect(self.settings)
        migrate(engine)
        engine.dispose()

    def freeze(self) -> None:
        """Every process stops where it is: connections stay open, and nothing answers."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def crash(self) -> None:
        """Gone without a checkpoint, frozen or not; the next start recovers."""
        assert self._process is not None
        for process in reversed(self._family()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGQUIT)
                process.resume()
        self._process.wait(WAIT)
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.crash()

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            dbname="postgres",
            autocommit=True,
            host="127.0.0.1",
            port=self._port,
            user=SUPERUSER,
            password=self._password,
        )

    def stored(self) -> Counter[str]:
        """How often each prediction is there."""
        with self.connect() as connection:
            rows = connection.execute("SELECT prediction_id, count(*) FROM predictions GROUP BY 1").fetchall()
        return Counter({str(prediction_id): count for prediction_id, count in rows})

    def _family(self) -> list[psutil.Process]:
        assert self._process is not None
        return [self._process, *self._process.children(recursive=True)]


class Load:
    """Clients that send customers one request after the other, and remember what they were answered."""

    def __init__(
        self,
        port: int,
        customers: list[dict[str, Any]],
        key: str | None = None,
        pause: float = 0,
        clients: int = CLIENTS,
    ) -> None:
        """`pause` in seconds between a client's requests."""
        self._port = port
        self._clients = clients
        self._pause = pause
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._bodies = [json.dumps({"customers": customers[at : at + 1 + at % 3]}).encode() for at in range(100)]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered: list[str] = []
        """Identifiers of the predictions in answers with status 200."""
        self.refused: list[tuple[int, dict[str, str], bytes]] = []
        self.broken = 0
        """Requests that got no answer at all."""

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(self._clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a request hangs"

    def _work(self, number: int) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                while not self._stop.is_set():
                    number += 1
                    self._ask(connection, self._bodies[number % len(self._bodies)])
                    self._stop.wait(self._pause)
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.broken += 1
                time.sleep(0.02)
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        connection.request("POST", "/predict", body, self._headers)
        response = connection.getresponse()
        content = response.read()
        with self._lock:
            if response.status == 200:
                self.answered += [prediction["prediction_id"] for prediction in json.loads(content)["predictions"]]
            else:
                headers = {name.lower(): value for name, value in response.getheaders()}
                self.refused.append((response.status, headers, content))

    def until_more(self, count: int) -> None:
        """Wait until so many more predictions were answered."""
        before = len(self.answered)
        until(lambda: len(self.answered) >= before + count)


class Shipper:
    """`deposit shipper` as a process."""

    def __init__(self, settings: Settings) -> None:
        database = settings.database.writer_url
        assert database is not None
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "DEPOSIT_STATE_DIR": str(settings.state_dir),
            "DEPOSIT_DATABASE__WRITER_URL": database.get_secret_value(),
            "DEPOSIT_LOG__POLL_SECONDS": "0.1",
            "DEPOSIT_LOG__STOP_SECONDS": str(settings.log.stop_seconds),
            **_handover(settings),
        }
        self.log = settings.state_dir / "shipper.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("deposit")), "shipper"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def terminate(self) -> None:
        """SIGTERM, without waiting for what it does then."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> None:
        """Until it has ended, in order."""
        if self._process is None:
            return
        assert self._process.wait(WAIT) == 0, self.log.read_text()[-2000:]
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.terminate()
            self.wait()

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()


def _handover(settings: Settings) -> dict[str, str]:
    store = settings.store
    if settings.log.handover_uri is None:
        return {}
    assert store.secret_key is not None
    return {
        "DEPOSIT_LOG__HANDOVER_URI": settings.log.handover_uri,
        "DEPOSIT_STORE__ENDPOINT_URL": str(store.endpoint_url),
        "DEPOSIT_STORE__ACCESS_KEY": str(store.access_key),
        "DEPOSIT_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
    }
