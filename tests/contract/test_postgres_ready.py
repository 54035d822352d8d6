import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deposit.deploy.local import postgres

pytestmark = pytest.mark.servers


def _wait_for(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_in_recovery_is_not_ready_though_its_port_is_open(
    tmp_path: Path, free_ports: Callable[[int], int]
) -> None:
    cluster, port = tmp_path / "cluster", free_ports(1)
    postgres.initialise(cluster, secrets.token_hex(8))
    # a standby that takes no logins stays in the state that a crashed server passes through
    recovering = [*postgres.command(cluster, port), "-c", "hot_standby=off"]
    (cluster / "standby.signal").touch()
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(recovering, stdout=log, stderr=log)
        try:
            _wait_for(lambda: _listens(port))
            assert not postgres.ready(port)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
        (cluster / "standby.signal").unlink()
        server = subprocess.Popen(postgres.command(cluster, port), stdout=log, stderr=log)
        try:
            _wait_for(lambda: postgres.ready(port))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    assert not postgres.ready(port)
