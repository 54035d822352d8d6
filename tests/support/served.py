"""Pytest plugin: the service as a process of its own, started from a Bento as the stack starts it."""

import csv
import http.client
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.settings import REPOSITORY, Settings

ROWS = 2000
START_SECONDS = 60
TAG = "deposit:v7"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deposit", "how long the tests of endurance last")
    group.addoption("--outage-seconds", type=float, default=8, help="how long PostgreSQL is away under load")
    group.addoption("--kills", type=int, default=5, help="how often the service is killed under load")
    group.addoption("--screenshots", action="store_true", help="keep the page's screenshots in docs/screenshots")
    group.addoption("--compose", default="docker compose", help="the command that runs compose files")
    group.addoption("--keep-stack", action="store_true", help="leave the stack with Docker for a look at it")
    group.addoption("--fuzz-cases", type=int, default=300, help="about how many requests are made from the document")


class Service:
    """One service on one port; it may be killed and started again."""

    def __init__(self, bento: Path, settings: Settings, port: int) -> None:
        self.port = port
        self.settings = settings
        self.log = settings.state_dir / f"service-{port}.log"
        self._bento = bento
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        from deposit.release.targets.environment import service_variables

        environment = {
            "PATH": os.defpath,
            "OMP_NUM_THREADS": "1",
            "BENTOML_HOME": str(self._bento),
            "BENTOML_DO_NOT_TRACK": "true",
            "BENTOML_CONFIG_OPTIONS": "tracing.excluded_urls=.*",
            **service_variables(self.settings, self.settings.state_dir / "none"),
        }
        command = [sys.executable, str(self._bento / "src" / "launch.py"), "--port", str(self.port)]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=self._bento)
        self._wait_ready()

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End it if it runs."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body; on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the service does not start; its log ends: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)


@pytest.fixture(scope="session")
def real_rows() -> list[list[Any]]:
    """The first rows of the real file, in the order of NAMES, with the label last."""
    types = [str if isinstance(column, Category) else int if column.integer else float for column in FEATURES]
    with lzma.open(REPOSITORY / "data" / "bank-additional-full.csv.xz", "rt") as file:
        lines = [line for line, _ in zip(csv.DictReader(file, delimiter=";"), range(ROWS), strict=False)]
    return [
        [*(kind(line[name]) for kind, name in zip(types, NAMES, strict=True)), line["y"] == "yes"] for line in lines
    ]


@pytest.fixture(scope="session")
def make_model(real_rows: list[list[Any]]) -> Callable[..., Any]:
    """Small real models; another seed gives another model."""
    import numpy as np
    import xgboost

    from deposit.model.artifact import ModelArtifact, ModelMetadata, Parity
    from deposit.model.encoder import Encoder

    def make(folder: Path, version: int = 1, seed: int = 0) -> ModelArtifact:
        values = [row[:-1] for row in real_rows]
        encoder = Encoder.fit({name: [row[place] for row in values] for place, name in enumerate(NAMES)})
        matrix = encoder.encode_rows(values)
        labels = np.array([row[-1] for row in real_rows], dtype=float)
        labels[seed :: 7 + seed] = 1
        booster = xgboost.train({"max_depth": 3, "seed": seed, "nthread": 1}, xgboost.DMatrix(matrix, labels), 20)
        metadata = ModelMetadata(dataset="test", train_end="2010-11", ingested=datetime.now(UTC).isoformat())
        artifact = ModelArtifact("xgboost", encoder, booster, -0.1, 0.3, metadata)
        sample = values[:200]
        parity = Parity(sample, artifact.probabilities(encoder.encode_rows(sample)).tolist())
        artifact = ModelArtifact(**{**vars(artifact), "parity": parity})
        artifact.save(folder)
        release = {"model_id": f"deposit-v{version}", "version": version, "metrics": {"roc_auc": 0.7}}
        (folder / "release.json").write_text(json.dumps(release))
        return artifact

    return make


@pytest.fixture(scope="session")
def customers(real_rows: list[list[Any]]) -> list[dict[str, Any]]:
    """Real rows as customers of a request."""
    return [dict(zip(NAMES, row[:-1], strict=True)) for row in real_rows]


@pytest.fixture(scope="session")
def bento_archive(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bento around a small model, `deposit-v7`, as it is in the object store."""
    from deposit.release.packaging import built, write_context

    work = tmp_path_factory.mktemp("packaging")
    make_model(work / "model", version=7)
    write_context(work / "context", TAG)
    archive = work / "deposit.bento"
    archive.write_bytes(built(work, TAG))
    return archive


@pytest.fixture(scope="session")
def bento(bento_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, unpacked."""
    from deposit.release.targets.image import unpack

    folder = tmp_path_factory.mktemp("unpacked") / "bento"
    unpack(bento_archive, folder)
    return folder


@pytest.fixture
def serve(bento: Path, free_ports: Callable[[int], int]) -> Callable[[Settings], Any]:
    """Starts a service with these settings for as long as a block lasts."""

    @contextmanager
    def start(settings: Settings) -> Iterator[Service]:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        service = Service(bento, settings, free_ports(1))
        try:
            service.start()
            yield service
        finally:
            service.stop()

    return start
