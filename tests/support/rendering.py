"""Compose files as compose itself makes them of a person's `.env`."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def render(
    folder: Path, files: Sequence[str], chosen: Mapping[str, str], shell: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Every service of some files, by name; skips where compose is not installed.

    Args:
        folder: an empty one, which gets the files and a `.env`.
        files: names of the repository's compose files.
        chosen: what is in the `.env`.
        shell: what the shell has set besides.
    """
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("docker compose is not installed: nothing renders its files")
    for name in files:
        shutil.copy(ROOT / name, folder)
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in chosen.items()))
    named = [argument for name in files for argument in ("--file", name)]
    command = ["docker", "compose", *named, "--profile", "*", "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **(shell or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])
