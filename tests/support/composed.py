"""The unmodified compose file as a project of its own, on ports of its own, seen from outside."""

import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from chaos import until
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url

from deposit.deploy.local.airflow_api import AirflowApi

logger = logging.getLogger("deposit.test")
logging.getLogger("httpx").setLevel(logging.WARNING)

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "deposit-test"
DEAD_PROXY = "http://127.0.0.1:9"
ONCE = {"secrets", "init", "airflow-init", "serving-base"}
QUICK = {"DEPOSIT_TRAIN__TRIALS": "2", "DEPOSIT_TRAIN__BOOTSTRAP": "100"}
"""A training as short as it can be: how good its model is, is for other tests."""


class Compose:
    """The stack from outside: its commands, its containers, its URLs."""

    def __init__(self, command: str, ports: dict[str, int], folder: Path = ROOT) -> None:
        program, *options = shlex.split(command)
        self._command = [str(ROOT / program) if "/" in program else program, *options]
        self._folder = folder
        self.ports = ports
        named = {f"{name}_PORT": str(port) for name, port in ports.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DEPOSIT_", "AWS_"))}
        self._environment = inherited | named | QUICK | {"COMPOSE_PROJECT_NAME": PROJECT}

    def run(self, *arguments: str, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._command, *arguments], env=self._environment, cwd=self._folder,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-6000:]}"
        return done

    def up(self, *options: str) -> float:
        """Seconds until all is healthy."""
        started = time.monotonic()
        done = self.run("up", "--detach", "--wait", "--quiet-pull", *options, check=False)
        if done.returncode:
            pytest.fail(f"{done.stderr[-3000:]}\n{self.run('ps', '--all').stdout}\n{self.logs()[-12000:]}")
        return time.monotonic() - started

    @contextmanager
    def built(self, keep: bool, seconds: float) -> Iterator[None]:
        """Its images made, nothing of an earlier one left; after the block it is gone, unless it is to be kept."""
        self.run("down", "--volumes", "--remove-orphans")
        self.run("build", timeout=seconds)
        yield
        if not keep:
            self.run("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def behind_a_dead_proxy(self, folder: Path) -> None:
        """From now on the client's configuration hands a proxy to every container, at which nobody listens."""
        configuration = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
        if configuration.is_dir():
            shutil.copytree(configuration, folder, dirs_exist_ok=True)
        path = folder / "config.json"
        given = json.loads(path.read_text()) if path.exists() else {}
        given["proxies"] = {"default": {"httpProxy": DEAD_PROXY, "httpsProxy": DEAD_PROXY, "noProxy": "bank.test"}}
        path.write_text(json.dumps(given))
        self._environment["DOCKER_CONFIG"] = str(folder)

    @contextmanager
    def clone(self, folder: Path) -> Iterator[None]:
        """The commands of this block are given in a folder that holds what compose and make read of a clone."""
        for path in (ROOT / "Makefile", ROOT / "docker-compose.yml", *(ROOT / "grafana").rglob("*.*")):
            copy = folder / path.relative_to(ROOT)
            # as git makes them: their modes are the umask's
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        before, self._folder = self._folder, folder
        try:
            yield
        finally:
            self._folder = before

    @contextmanager
    def settings(self, **given: str | None) -> Iterator[None]:
        """The commands of this block have these variables set in their shell, and not those that are None."""
        before = self._environment
        self._environment = {name: value for name, value in (before | given).items() if value is not None}
        try:
            yield
        finally:
            self._environment = before

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        """One of the Makefile's targets, on this stack."""
        return subprocess.run(
            ["make", target, f"COMPOSE={shlex.join(self._command)}"], env=self._environment, cwd=self._folder,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def wrapper(self, *arguments: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The repository's `./deposit`, called from a folder whose files every user may read."""
        folder.chmod(0o755)
        environment = self._environment | {"COMPOSE": shlex.join(self._command)}
        done = subprocess.run(
            [str(ROOT / "deposit"), *arguments], env=environment, cwd=folder, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def down(self, *options: str) -> None:
        self.run("down", *options)

    def logs(self) -> str:
        return self.run("logs", "--no-color", "--tail", "25", check=False).stdout

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A `deposit` command in the stack."""
        return self.run("run", "--rm", "--no-deps", "-T", "deposit", *arguments, check=check)

    def containers(self) -> list[dict[str, Any]]:
        """What `docker inspect` says of every container of the project."""
        ids = docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        if not ids:
            return []
        # it complains of one that has been removed since, and tells of the others
        inspection = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=False)
        containers: list[dict[str, Any]] = json.loads(inspection.stdout)
        return containers

    def container(self, service: str) -> dict[str, Any]:
        """The running container of a service."""
        containers = [each for each in self.containers() if service_of(each) == service and each["State"]["Running"]]
        assert len(containers) == 1, f"{service}: {len(containers)} containers run"
        return containers[0]

    def drained(self) -> None:
        """Waits until the service that lost its traffic to a release is gone."""
        until(lambda: len([each for each in self.containers() if service_of(each) == "serving"]) == 1)

    def kill(self, service: str) -> None:
        """SIGKILL of the main process: no stop by hand, from which an engine does not restart."""
        os.kill(self.container(service)["State"]["Pid"], signal.SIGKILL)

    def logins(self) -> dict[str, Any]:
        logins: dict[str, Any] = json.loads(self.run("run", "--rm", "--no-deps", "-T", "credentials", "--json").stdout)
        return logins

    def vault(self) -> dict[str, str]:
        """All secrets of the stack."""
        path = "/secrets/vault/secrets.json"
        printed = self.run("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "credentials", path).stdout
        vault: dict[str, str] = json.loads(printed)
        return vault

    def store(self, user: str, secret: str) -> Any:
        """An S3 client with one part's key."""
        return boto3.client(
            "s3", endpoint_url=self.url("DEPOSIT_STACK__STORE"), region_name="us-east-1",
            aws_access_key_id=user, aws_secret_access_key=secret,
        )  # fmt: skip

    def api(self, key: str | None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url("DEPOSIT_STACK__GATEWAY"), headers=headers, timeout=30, trust_env=False)

    def airflow(self, password: str) -> AirflowApi:
        return AirflowApi(self.url("DEPOSIT_STACK__AIRFLOW"), "admin", password)

    def airflow_page(self, password: str, path: str) -> str:
        """What Airflow's API server answers to who has logged in."""
        login = {"username": "admin", "password": password}
        with httpx.Client(base_url=self.url("DEPOSIT_STACK__AIRFLOW"), timeout=30, trust_env=False) as client:
            token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            return client.get(path, headers={"Authorization": f"Bearer {token}"}).raise_for_status().text

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    @cached_property
    def _owner(self) -> str:
        command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", "deposit", "/run/deposit/database_url")
        return self.run(*command).stdout.strip()

    def reachable(self, url: str) -> str:
        """A database's URL with the address of PostgreSQL's container, which this machine reaches."""
        networks = self.container("postgres")["NetworkSettings"]["Networks"]
        reachable = make_url(url).set(drivername="postgresql+psycopg", host=address(networks))
        return reachable.render_as_string(hide_password=False)

    def sql(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        with self._connection(url) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def change(self, statement: str) -> Any:
        """Run a statement and commit it; its only value."""
        with self._connection() as connection:
            return connection.exec_driver_sql(statement).scalar_one()

    @contextmanager
    def _connection(self, url: str | None = None) -> Iterator[Connection]:
        # with no_parameters a % is a %
        engine = create_engine(url or self.reachable(self._owner), execution_options={"no_parameters": True})
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def healthy(self) -> bool:
        """Whether every container but the one-shots runs and is healthy."""
        states = [each["State"] for each in self.containers() if service_of(each) not in ONCE]
        return all(
            state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy" for state in states
        )


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def service_of(container: dict[str, Any]) -> str:
    labels = container["Config"]["Labels"]
    return "serving" if "deposit.release" in labels else str(labels["com.docker.compose.service"])


def address(networks: dict[str, Any]) -> str:
    return str(next(network["IPAddress"] for network in networks.values() if network["IPAddress"]))
