import socket
from pathlib import Path

import pytest

from deposit.errors import UpstreamError
from deposit.release.gateway import Gateway
from deposit.settings import Settings


def test_a_gateway_that_left_its_socket_behind_does_not_answer(tmp_path: Path) -> None:
    admin = tmp_path / "caddy.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(admin))
    gateway = Gateway(Settings(state_dir=tmp_path).changed("release", gateway_admin=str(admin)))
    assert not gateway.answers()
    with pytest.raises(UpstreamError, match="deposit up"):
        gateway.repair()
