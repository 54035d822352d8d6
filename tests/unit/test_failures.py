import logging
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from deposit.events import report_failure
from deposit.sections import DatabaseSettings, MonitorSettings
from deposit.settings import Settings


@pytest.fixture
def receiver() -> Iterator[Callable[[int], str]]:
    """Makes a server that answers with a status, and gives its address with a secret in it."""
    servers = []

    def make(status: int) -> str:
        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Receiver)
        servers.append((server, Thread(target=server.serve_forever)))
        servers[-1][1].start()
        return f"http://127.0.0.1:{server.server_port}/hush"

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "logged"), [(200, 1), (500, 2)])
def test_what_cannot_be_recorded_is_posted_all_the_same_and_what_cannot_be_posted_is_logged_without_its_address(
    receiver: Callable[[int], str], caplog: pytest.LogCaptureFixture, status: int, logged: int
) -> None:
    settings = Settings(database=DatabaseSettings(), monitor=MonitorSettings(webhook_url=receiver(status)))
    with caplog.at_level(logging.ERROR, "deposit"):
        report_failure(settings.database, settings.monitor.webhook_url, "deposit_train", "manual__1", "why")
    assert len(caplog.records) == logged
    assert "DEPOSIT_DATABASE__URL is not set" in caplog.text
    assert "hush" not in caplog.text
