import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwuid

import pytest

from deposit.deploy.layout import Layout
from deposit.errors import ConfigError

ODD = ["x" * 100, "ö" * 60, "a b", "it's", "100%", "a|b"]


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Layout]:
    place = Layout(tmp_path / request.param)
    yield place
    if place.sockets.is_symlink():
        place.sockets.unlink()
    elif place.sockets.is_dir():
        place.clear_sockets()


def test_a_plain_folder_holds_its_own_sockets() -> None:
    assert Layout(Path("/s")).supervisor_socket == Path("/s/run/supervisor.sock")


def test_an_odd_folder_has_its_sockets_in_a_short_private_one(odd: Layout) -> None:
    odd.make()
    assert len(os.fsencode(odd.supervisor_socket)) < 60
    assert not odd.sockets.is_relative_to(odd.root)
    assert stat.S_IMODE(odd.sockets.stat().st_mode) == 0o700
    assert odd.sockets != Layout(odd.root / "another").sockets
    odd.supervisor_socket.touch()
    odd.clear_sockets()
    assert not odd.sockets.exists()


def test_sockets_are_never_put_where_somebody_else_could_listen(odd: Layout, tmp_path: Path) -> None:
    odd.sockets.mkdir(mode=0o700)
    odd.sockets.chmod(0o770)
    with pytest.raises(ConfigError, match="not a private folder"):
        odd.make()
    odd.sockets.chmod(0o700)
    odd.sockets.rmdir()
    odd.sockets.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="not a private folder"):
        odd.make()
    with pytest.raises(ConfigError, match="not a private folder"):
        odd.clear_sockets()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is another's")
def test_another_users_folder_is_not_used(tmp_path: Path) -> None:
    odd = Layout(tmp_path / "a b")
    odd.sockets.mkdir(mode=0o700)
    os.chown(odd.sockets, 65534, 65534)
    try:
        with pytest.raises(ConfigError, match="not a private folder"):
            odd.make()
    finally:
        odd.sockets.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a stack that is another's")
def test_a_stack_that_another_user_made_is_left_as_it_is(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.secrets.touch()
    os.chown(place.secrets, 65534, 65534)
    with pytest.raises(
        ConfigError, match=f"the stack in {tmp_path} was created by the user {getpwuid(65534).pw_name}: run"
    ):
        place.make()
    os.chown(place.secrets, 54321, 54321)
    with pytest.raises(ConfigError, match="was created by the user 54321: run"):
        place.make()
    assert list(tmp_path.iterdir()) == [place.secrets]


def test_a_file_system_that_keeps_no_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made_open(prefix: str, dir: Path) -> str:  # noqa: A002 - the library's name
        folder = dir / f"{prefix}probe"
        folder.mkdir()
        folder.chmod(0o777)
        return str(folder)

    monkeypatch.setattr(tempfile, "mkdtemp", made_open)
    with pytest.raises(
        ConfigError, match=f"the file system of {tmp_path} ignores file permissions.* set DEPOSIT_STATE_DIR"
    ):
        Layout(tmp_path).make()


@pytest.mark.parametrize("character", "*?[{}$\n")
def test_a_path_that_a_part_would_read_as_something_else_is_refused(character: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_STATE_DIR"):
        Layout(tmp_path / f"a{character}b").make()


def test_programs_of_an_environment_with_an_odd_path_go_by_a_link(tmp_path: Path) -> None:
    place = Layout(tmp_path / "state")
    assert place.script(Path("/opt/env"), "mlflow") == ["/opt/env/bin/python", "/opt/env/bin/mlflow"]
    assert place.script(Path("/opt/100%/env"), "mlflow")[1] == str(place.sockets / "env" / "bin" / "mlflow")
