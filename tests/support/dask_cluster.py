"""A real Dask scheduler and workers, each a process of its own, on loopback."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_START_SECONDS = 180


@dataclass
class DaskCluster:
    """A scheduler that runs, and its workers; `address` is what the setting names."""

    address: str
    scheduler: subprocess.Popen[bytes]
    folder: Path
    environment: Mapping[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """One more, of one thread; it joins when it is ready."""
        number = len(self.workers)
        with (self.folder / f"worker-{number}.log").open("wb") as log:
            worker = subprocess.Popen(
                [
                    sys.executable, "-W", "ignore", "-m", "distributed.cli.dask_worker", self.address, "--nthreads=1",
                    "--no-nanny", "--no-dashboard", "--host=127.0.0.1", f"--name=w{number}", "--death-timeout=120",
                    f"--local-directory={self.folder}",
                ],
                env={**self.environment, **environment}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.workers.append(worker)
        return worker


@contextmanager
def dask_cluster(workers: int, **environment: str) -> Iterator[DaskCluster]:
    """A scheduler and so many workers; the environment is theirs alone."""
    with tempfile.TemporaryDirectory(prefix="dask-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        file = folder / "scheduler.json"
        variables = {
            "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1",
            **environment,
        }  # fmt: skip
        with (folder / "scheduler.log").open("wb") as log:
            scheduler = subprocess.Popen(
                [
                    sys.executable, "-W", "ignore", "-m", "distributed.cli.dask_scheduler", "--host=127.0.0.1",
                    "--port=0", "--no-dashboard", f"--scheduler-file={file}",
                ],
                env=variables, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        cluster = DaskCluster("", scheduler, folder, variables)
        try:
            cluster.address = _address(file, scheduler)
            for _ in range(workers):
                cluster.add_worker()
            yield cluster
        finally:
            for process in [*cluster.workers, scheduler]:
                process.kill()
                process.wait()


def _address(file: Path, scheduler: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert scheduler.poll() is None, (file.parent / "scheduler.log").read_text()
        try:
            return str(json.loads(file.read_text())["address"])
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
    raise AssertionError((file.parent / "scheduler.log").read_text())


def die_once(mark: Path, number: int) -> int:
    """The square of a number; whoever is first asked for that of 3 is killed by it."""
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
