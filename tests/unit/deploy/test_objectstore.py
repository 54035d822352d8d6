import os
import secrets
import socket
import ssl
import stat
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from deposit.deploy import objectstore
from deposit.deploy.layout import Layout
from deposit.errors import ConfigError


def test_a_secret_makes_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    first = objectstore.files(tmp_path, "a")
    assert first == objectstore.files(tmp_path, "a")
    other = objectstore.files(tmp_path, "b")
    assert [name for name in first if first[name] == other[name]] == []


def test_files_are_for_their_owner_alone_and_a_pair_that_tls_takes(tmp_path: Path) -> None:
    objectstore.write(tmp_path, secrets.token_hex(20))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    ssl.create_default_context().load_cert_chain(tmp_path / "guard.crt", tmp_path / "guard.key")


def test_the_certificate_does_not_run_out() -> None:
    certificate = x509.load_pem_x509_certificate(objectstore.files(Path("/"), "a")["guard.crt"].encode())
    assert certificate.not_valid_before_utc < datetime.now(UTC)
    assert certificate.not_valid_after_utc.year == 9999


def test_every_path_and_token_is_in_the_servers_file_as_it_is() -> None:
    folder = Path('/it\'s "100%" \\ ünïcode 🎲')
    security = tomllib.loads(objectstore.files(folder, "a")["security.toml"])
    assert security["grpc"]["ca"] == str(folder / "guard.crt")
    assert {part["key"] for part in security["grpc"].values() if isinstance(part, dict)} == {str(folder / "guard.key")}
    tokens = [security["jwt"][part]["key"] for part in ("signing", "filer_signing")]
    tokens += [security["jwt"][part]["read"]["key"] for part in ("signing", "filer_signing")]
    assert len(set(tokens)) == 4
    assert min(map(len, tokens)) == 64


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that is another's")
def test_another_users_socket_in_the_stores_way_is_named(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.make()
    port = 40_000 + secrets.randbelow(20_000)
    path = Path(f"/tmp/seaweedfs-volume-grpc-{port + 3}.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        os.chown(path, 65534, 65534)
        try:
            with pytest.raises(ConfigError, match=rf"{path}.*DEPOSIT_STACK__INTERNAL_PORT"):
                objectstore.configure(place, [], "a", port)
        finally:
            path.unlink()
    objectstore.configure(place, [], "a", port)
