"""The releaser when a service is lost in the middle of a look: real rows, a target that loses it at that moment."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from deposit.database import connect, transaction
from deposit.release import repository, requests
from deposit.release.checks import plain_client
from deposit.release.reconciler import Reconciliation
from deposit.release.repository import BUILDING, TESTING, Release
from deposit.sections import DatabaseSettings, ReleaseSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers
BENTO = {"bento_tag": "deposit:1", "bento_uri": "s3://bentos/1", "bento_sha256": "0" * 64, "target": "docker"}


class Docker:
    """A target whose service is removed by another hand, once, right after it was seen to be in order."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._services: dict[int, str] = {}
        self.removes = False

    def install(self, release: Release, archive: Path) -> None:
        raise AssertionError("all Bentos are installed")

    def installed(self, release: Release) -> bool:
        return True

    def parity(self, release: Release) -> dict[str, Any]:
        raise AssertionError("nothing is to be tested")

    def start(self, release: Release) -> tuple[str, ...]:
        self._services[release.id] = self.configuration(release)
        return (self._address,)

    def client(self, address: str) -> httpx.Client:
        return plain_client(address)

    def stop(self, release_id: int) -> None:
        self._services.pop(release_id, None)

    def problem(self, release_id: int) -> str | None:
        if self.removes:
            self.removes = False
            self.stop(release_id)
        return None

    def configuration(self, release: Release) -> str:
        return f"of {release.bento_sha256}"

    def started_with(self, release_id: int) -> str | None:
        return self._services.get(release_id)

    def running(self) -> dict[int, tuple[str, ...]]:
        return dict.fromkeys(self._services, (self._address,))

    def abandon(self) -> None:
        raise AssertionError("the stack goes on")

    def prune(self, keep: set[str]) -> None:
        pass


class Caddy:
    """A gateway that points where it is told."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()

    def repair(self) -> bool:
        return False

    def upstream(self) -> tuple[str, ...]:
        return self.addresses

    def switch(self, release: Release, addresses: tuple[str, ...], test: Callable[[str], None]) -> tuple[str, ...]:
        self.addresses = addresses
        return addresses

    def withdraw(self) -> None:
        self.addresses = ()

    def answers(self) -> bool:
        return True


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Where something answers that it is ready."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_lost_after_it_was_repaired_is_brought_back_and_not_renewed(
    database: DatabaseSettings, address: str, tmp_path: Path
) -> None:
    settings = Settings(state_dir=tmp_path, database=database, release=ReleaseSettings(drain_seconds=0))
    with transaction(database) as connection:
        asked = repository.request(connection, {"kind": "release", "model_id": "deposit-v1", "why": "a test", **BENTO})
        for state in (BUILDING, TESTING):
            asked = repository.step(connection, asked, state)
        live = repository.go_live(connection, asked, address)
    engine, target, gateway = connect(database), Docker(address), Caddy()
    reconciliation = Reconciliation(settings, engine, target, gateway)
    try:
        reconciliation.reconcile()
        assert (target.running(), gateway.addresses) == ({live.id: (address,)}, (address,))
        target.removes = True
        reconciliation.reconcile()
        assert target.running() == {}
        assert requests.history(settings.database) == [live]
        reconciliation.reconcile()
        assert target.running() == {live.id: (address,)}
        assert requests.history(settings.database) == [live]
    finally:
        engine.dispose()
