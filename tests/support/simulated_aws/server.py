"""The fixture `simulated_aws`: one server for a session, its address, and the environment of what shall use it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

ACCOUNT = "123456789012"
REGION = "eu-central-1"
START_SECONDS = 240


@dataclass(frozen=True)
class SimulatedAws:
    """A server that runs.

    Attributes:
        url: of every AWS service at once.
        environment: `AWS_*` that send boto3, Terraform's provider and its S3 backend there.
        pid: of its process.
    """

    url: str
    environment: Mapping[str, str]
    pid: int

    def client(self, service: str) -> Any:
        """A boto3 client of a service, whatever the process's own environment says."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within the block it takes connections and answers none."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def reset(self) -> None:
        """Everything in the account is gone."""
        httpx.post(f"{self.url}/moto-api/reset", timeout=60).raise_for_status()


@contextmanager
def running(port: int, log: Path, address: str = "127.0.0.1") -> Iterator[SimulatedAws]:
    """An account with nothing in it, until the end of the block; `address` is of this machine."""
    command = [sys.executable, "-m", "simulated_aws", "-H", address, "-p", str(port)]
    own = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        # without them, AWS's own policies cannot be attached
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        "MOTO_ACM_VALIDATION_WAIT": "0",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_without_aws() | own)
    try:
        url = f"http://{address}:{port}"
        _wait(process, url, log)
        # functions are kept apart by how they are invoked: this is set before any is made
        httpx.post(f"{url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=60).raise_for_status()
        yield SimulatedAws(url, _environment(url), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def simulated_aws(free_ports: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedAws]:
    """An AWS account on this machine, shared by the session."""
    with running(free_ports(1), tmp_path_factory.mktemp("aws") / "log") as aws:
        yield aws


def _environment(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _without_aws() -> dict[str, str]:
    """This process's environment without a person's own account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/moto-api/data.json", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"the simulated AWS does not start; its log ends: {log.read_text()[-2000:]}")
