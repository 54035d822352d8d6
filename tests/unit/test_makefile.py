"""`make setup` in folders that are moved; a script in uv's place tells what it was asked for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deposit.settings import REPOSITORY

UV = '#!/bin/sh\nmkdir -p "$UV_PROJECT_ENVIRONMENT"\necho made >> "$UV_PROJECT_ENVIRONMENT/log"\n'


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "it's ünïcode, 100% #1; clone"
    tools = folder / ".tools" / "bin"
    tools.mkdir(parents=True)
    for name in ("uv.lock", "pyproject.toml"):
        (folder / name).touch()
    shutil.copy(REPOSITORY / "Makefile", folder)
    (tools / "uv").write_text(UV)
    (tools / "uv").chmod(0o755)
    (tools / "python").symlink_to(sys.executable)
    return folder


def setup(folder: Path) -> str:
    done = subprocess.run(["make", "setup"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_environments_are_made_once(clone: Path) -> None:
    assert setup(clone).count("making .venv") == 2
    assert "making" not in setup(clone)
    assert "made in another folder" not in setup(clone)


def test_a_moved_clone_makes_its_environments_again_and_says_so(clone: Path) -> None:
    setup(clone)
    stale = clone / ".venv" / "stale"
    stale.touch()
    moved = clone.rename(clone.with_name("moved"))
    told = setup(moved)
    assert f".venv was made in another folder, {clone}: it is made again" in told
    assert f".venv-airflow was made in another folder, {clone}: it is made again" in told
    assert not (moved / ".venv" / "stale").exists()
    assert "making" not in setup(moved)


def test_a_lock_that_changed_is_followed_in_place(clone: Path) -> None:
    setup(clone)
    (clone / ".venv" / "kept").touch()
    later = (clone / ".venv" / ".synced").stat().st_mtime + 60
    subprocess.run(["touch", "--date", f"@{later}", "uv.lock"], cwd=clone, check=True)
    assert setup(clone).count("making .venv") == 2
    assert (clone / ".venv" / "kept").exists()
