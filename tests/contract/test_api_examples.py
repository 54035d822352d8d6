"""What docs/api.md gives to paste, run against a service that wants a key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pasted import ROOT, block, paste

from deposit import keys
from deposit.settings import Settings
from serving.openapi import document

pytestmark = pytest.mark.servers
PAGE = "docs/api.md"


@pytest.fixture
def service(serve: Any, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Its address, and a key that may do all."""
    file = tmp_path / "keys.json"
    _, secret = keys.add(file, "people", ["predict", "outcomes", "admin"])
    with serve(Settings(state_dir=tmp_path / "state").changed("serve", keys_file=file)) as running:
        yield f"http://127.0.0.1:{running.port}", secret


def test_each_path_is_asked_by_curl(service: tuple[str, str], tmp_path: Path) -> None:
    address, key = service
    printed = paste(PAGE, "Each path by curl", address, tmp_path, key)
    assert '"detail"' not in printed
    for answer in ('"models"', '"called":20', '{"accepted":1', "deposit_requests_total"):
        assert answer in printed
    assert (tmp_path / "ranked.xlsx").read_bytes()[:2] == b"PK"
    assert json.loads((tmp_path / "openapi.json").read_text())["openapi"] == "3.1.0"
    text = block(PAGE, "Ask it") + block(PAGE, "Each path by curl")
    asked = {path for path in document(1)["paths"] if f"8000{path} " in text or f"8000{path}\n" in text}
    # pages for people are opened, not asked
    assert document(1)["paths"].keys() - asked == {"/", "/docs"}


def test_the_client_in_python_ranks_and_says_what_came_of_a_call(service: tuple[str, str]) -> None:
    address, key = service
    program = block(PAGE, "From Python", "python").replace("http://127.0.0.1:8000", address)
    environment = os.environ | {"KEY": key, "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("{'accepted': 1")
