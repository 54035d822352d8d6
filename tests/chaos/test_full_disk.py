import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from chaos import Load, until

from deposit.log.entries import ScoredRequest, Traffic, decode_entry
from deposit.log.spool import Spool
from deposit.settings import Settings
from serving.recorder import texts

pytestmark = pytest.mark.servers
DISK, RESERVE, BLOCK = 24 * 2**20, 2**20, 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small file system that this fills")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path, left: int) -> None:
    disk = os.statvfs(path.parent)
    # the service takes some of it meanwhile
    with suppress(OSError), path.open("wb", buffering=0) as file:
        for _ in range((disk.f_bavail * disk.f_frsize - left) // BLOCK):
            file.write(b"0" * BLOCK)


def _logged(settings: Settings) -> tuple[set[str], int]:
    """Predictions, and how many requests were counted as refused."""
    spool = Spool.of(settings)
    ids, refused = set(), 0
    for _, entry in spool.read(10_000_000):
        content = decode_entry(entry)
        if isinstance(content, Traffic):
            refused += sum(sum(count.latency_count) for count in content.counts if count.status == 503)
            continue
        assert isinstance(content, ScoredRequest)
        ids.update(texts(content.prediction_ids))
    spool.close()
    return ids, refused


@pytest.mark.parametrize("left", [0, RESERVE + 256 * 2**10], ids=["full at once", "full by the log itself"])
def test_a_full_disk_is_reported_and_recovers_by_itself(
    small_disk: Path,
    serve: Callable[[Settings], Any],
    put_load: Callable[[int], Load],
    left: int,
) -> None:
    settings = Settings(state_dir=small_disk / "state").changed("log", reserve_bytes=RESERVE)
    with serve(settings) as service, put_load(service.port) as load:
        load.until_more(50)
        _fill(small_disk / "filler", left)
        until(lambda: len(load.refused) > 50)
        assert service.request("GET", "/livez")[0] == 200
        assert service.request("GET", "/models")[0] == 200
        assert service.request("GET", "/metrics")[0] == 200
        (small_disk / "filler").unlink()
        load.until_more(50)
        refused = len(load.refused)
        load.until_more(50)
        assert len(load.refused) == refused
    assert load.broken == 0
    for status, headers, body in load.refused:
        assert status == 503
        assert headers["retry-after"]
        (problem,) = json.loads(body)["detail"]
        assert "cannot be written" in problem["message"]
    logged, counted = _logged(settings)
    assert set(load.answered) <= logged
    assert counted == len(load.refused)
