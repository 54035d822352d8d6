"""A Dask scheduler and workers on given cores, with a model preloaded from a folder."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.processes import cpu_seconds, running
from deposit.model.artifact import ModelArtifact
from deposit.scoring import batch_scoring  # noqa: F401 - scoring code is imported before it is timed
from deposit.sections import ComputeSettings
from deposit.settings import REPOSITORY

_START_SECONDS = 180


class Cluster(NamedTuple):
    """A running cluster, and the settings to use it."""

    settings: ComputeSettings
    scheduler: psutil.Process
    workers: list[psutil.Process]

    def cpu(self) -> tuple[float, float]:
        """Return the CPU time so far of the scheduler and of all workers, in seconds."""
        return cpu_seconds(self.scheduler), sum(map(cpu_seconds, self.workers))


@contextmanager
def cluster(workers: int, cores: frozenset[int], folder: Path, model: Path) -> Iterator["Cluster"]:
    """Run workers of one thread each, with their scheduler on the same cores, and their imports done."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    dask = [sys.executable, "-W", "ignore", "-m"]
    with ExitStack() as started:
        command = [*dask, "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard"]
        scheduler = started.enter_context(
            running([*command, f"--scheduler-file={file}"], environment, cores, folder / "scheduler.log")
        )
        address = _address(file)
        command = [*dask, "distributed.cli.dask_worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard"]
        processes = []
        for number in range(workers):
            own = f"--local-directory={folder}", f"--name=w{number}", "--host=127.0.0.1"
            log = folder / f"worker-{number}.log"
            processes.append(started.enter_context(running([*command, *own], environment, cores, log)))
        _await(workers, address, model)
        yield Cluster(ComputeSettings(scheduler=address, patience=_START_SECONDS), scheduler, processes)


def _address(file: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not file.exists() or not file.stat().st_size:
        if time.monotonic() > deadline:
            raise SystemExit(f"error: the Dask scheduler does not start: see {file.parent / 'scheduler.log'}")
        time.sleep(0.1)
    return str(json.loads(file.read_text())["address"])


def _await(workers: int, address: str, model: Path) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(workers, timeout=_START_SECONDS)
        client.run(model_in, str(model))
        client.run_on_scheduler(model_in, str(model))


@cache
def model_in(folder: str) -> ModelArtifact:
    """Load the model of a folder, once per process; a process that has called this has imported the scoring code."""
    return ModelArtifact.load(Path(folder), threads=1)


def loader(folder: Path) -> Callable[[], ModelArtifact]:
    """Return a function that loads the model of a folder in any process."""
    return partial(model_in, str(folder))
