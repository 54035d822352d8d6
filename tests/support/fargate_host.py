"""Fargate and the load balancer for the simulated ECS, which starts nothing: the real service of a task's real image.

Each running task's image is pulled from the registry and its service started at the task's address; whatever the
service's definition is gets the requests that come to the load balancer. Rolling, it gets them once it is ready; the
task before is taken out of the load balancer, finishes its requests, and is stopped as the ECS stops it: SIGTERM to the
service, and when that has ended to the shipper beside it. What differs from AWS: one process stands for all tasks of a
service, health checks do not run, sidecars only where tasks are replaced, and the base below the Bento is this
environment.
"""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import randint
from typing import Any

import httpx
from registry_server import Registry
from simulated_aws.server import SimulatedAws

_LOOK_SECONDS, _START_SECONDS = 0.2, 180
_STOP_SECONDS = 120
"""As long as Fargate lets a container stop, before it kills it."""
_ENDED = "Essential container in task exited"


@dataclass
class FargateHost:
    """Plays Fargate for one cluster with one service, in a folder of its own."""

    aws: SimulatedAws
    registry: Registry
    cluster: str
    service: str
    folder: Path
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Definition and path of each request to the load balancer."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What a service has beside its definition's own: AWS's way to itself."""
    broken: bool = False
    """The load balancer answers 502, whatever the service does."""
    shipper: Mapping[str, str] = field(default_factory=dict)
    """Rolling: what the shipper beside a service has, the database's URL above all."""
    ended: list[tuple[str, int, int]] = field(default_factory=list)
    """Rolling: definition of each task that was replaced, exit codes of its service and its shipper."""
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _shippers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _addresses: dict[str, str] = field(default_factory=dict)
    _live: str = ""
    _asked: Counter[str] = field(default_factory=Counter)
    """Rolling: requests that a task has and did not answer yet, by its definition."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.use(self.aws)

    def use(self, aws: SimulatedAws) -> None:
        """The account, by other credentials."""
        self._ecs = aws.client("ecs")

    @contextmanager
    def running(self, port: int) -> Iterator[None]:
        """Until the end of the block; the load balancer is on a port of this machine."""
        stop, host = threading.Event(), self

        class Balancer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, content = host.forward(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the names are the server's

            def log_message(self, *_: object) -> None:
                pass

        self.url = f"http://127.0.0.1:{port}"
        # moto's tasks move on whenever they are looked at, to their end
        transition = {"model_name": "ecs::task", "transition": {"progression": "manual", "times": 10**9}}
        httpx.post(
            f"{self.aws.url}/moto-api/state-manager/set-transition", json=transition, timeout=60
        ).raise_for_status()
        watcher = threading.Thread(target=self._watch, args=(stop,))
        with ThreadingHTTPServer(("127.0.0.1", port), Balancer) as server:
            balancer = threading.Thread(target=server.serve_forever)
            watcher.start()
            balancer.start()
            try:
                yield
            finally:
                stop.set()
                server.shutdown()
                balancer.join()
                watcher.join()
                for process in (*self._processes.values(), *self._shippers.values()):
                    _end(process)

    def is_rolled_out(self, definition: str) -> bool:
        """Rolling: whether a definition's task has the requests, and the one before has ended."""
        return self._live == definition and not any(
            process.poll() is None for name, process in self._shippers.items() if name != definition
        )

    def forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        """As the load balancer answers: status, content type, body."""
        if self.shipper:
            return self._forward_to_live(method, path, headers, body)
        (service,) = self._ecs.describe_services(cluster=self.cluster, services=[self.service])["services"]
        definition = service["taskDefinition"]
        self.requests.append((definition, path))
        if self.broken:
            return 502, "text/plain", b"bad gateway"
        if not service["desiredCount"]:
            return 503, "text/plain", b"no targets"
        return self._ask(self._serving_address(definition), method, path, headers, body)

    def _forward_to_live(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        with self._lock:
            live = self._live
            self._asked[live] += 1
        try:
            return self._ask(self._addresses[live], method, path, headers, body) if live else (503, "text/plain", b"")
        finally:
            with self._lock:
                self._asked[live] -= 1

    def _ask(
        self, address: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(address, 8000, timeout=30)
        try:
            connection.request(method, path, body, {name: value for name, value in headers.items() if name != "Host"})
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type", "text/plain"), response.read()
        finally:
            connection.close()

    def _watch(self, stop: threading.Event) -> None:
        # one thread starts all: a service ends with the thread that started it
        while not stop.wait(_LOOK_SECONDS):
            arns = self._ecs.list_tasks(cluster=self.cluster)["taskArns"]
            tasks = self._ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if arns else []
            for task in tasks:
                self._look_after(task)
            (service,) = self._ecs.describe_services(cluster=self.cluster, services=[self.service])["services"]
            definition = service["taskDefinition"]
            if service["desiredCount"] and definition not in self._addresses:
                self._addresses[definition] = address = f"127.255.{randint(1, 254)}.{randint(1, 254)}"
                self._start(definition, address, definition)
            if self.shipper:
                self._roll(definition if service["desiredCount"] else "")

    def _look_after(self, task: Mapping[str, Any]) -> None:
        arn = task["taskArn"]
        process = self._processes.get(arn)
        if process is None and task["lastStatus"] != "STOPPED":
            self._start(arn, _address(task), task["taskDefinitionArn"])
        elif process is not None and task["lastStatus"] == "STOPPED":
            _end(process)
        elif process is not None and process.poll() is not None:
            self._ecs.stop_task(cluster=self.cluster, task=arn, reason=_ENDED)

    def _roll(self, definition: str) -> None:
        """Give the requests to the task of a definition, if it is ready, and end the one that had them."""
        before = self._live
        if definition == before or (definition and not _is_ready(self._addresses[definition])):
            return
        with self._lock:
            self._live = definition
        if not before:
            return
        while self._asked[before]:
            time.sleep(0.01)
        del self._addresses[before]
        self.ended.append((before, _end(self._processes[before]), _end(self._shippers[before])))

    def _serving_address(self, definition: str) -> str:
        """Of the process that stands for the tasks of a definition, once it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            address = self._addresses.get(definition, "")
            if address and _is_ready(address):
                break
            time.sleep(0.05)
        return address

    def _start(self, name: str, address: str, definition: str) -> None:
        described = self._ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
        (service,) = [each for each in described["containerDefinitions"] if each["name"] == "service"]
        bento = self.registry.bento_of(service["image"], self.folder)
        environment = dict(self.environment) | {each["name"]: each["value"] for each in service["environment"]}
        state = self.folder / f"task-{len(list(self.folder.glob('task-*')))}"
        state.mkdir()
        places = {"PATH": os.defpath, "BENTOML_HOME": str(bento), "DEPOSIT_STATE_DIR": str(state)}
        command = [sys.executable, str(bento / "src" / "launch.py"), "--host", address, "--port", "8000"]
        if not bento.is_dir():
            command, bento = ["false"], self.folder  # no service's image
        with (state / "log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, env=environment | places, stdout=log, stderr=log, cwd=bento
            )
            if self.shipper and name == definition:
                (sidecar,) = [each for each in described["containerDefinitions"] if each["name"] == "shipper"]
                command = [str(Path(sys.executable).with_name("deposit")), *sidecar["command"]]
                variables = {**self.environment, **self.shipper, "PATH": os.defpath, "DEPOSIT_STATE_DIR": str(state)}
                self._shippers[name] = subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=state)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Its exit code."""
    if process.poll() is None:
        process.terminate()
    return process.wait(_STOP_SECONDS)


def _is_ready(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://{address}:8000/readyz", trust_env=False, timeout=30).is_success
    return False


def _address(task: Mapping[str, Any]) -> str:
    details = task["attachments"][0]["details"]
    return str(next(detail["value"] for detail in details if detail["name"] == "privateIPv4Address"))


def make_service(aws: SimulatedAws, name: str, base: str) -> dict[str, Any]:
    """What Terraform makes: a network, a cluster, a definition on the base, and a service that has no tasks yet."""
    ec2, ecs = aws.client("ec2"), aws.client("ecs")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description="a test's", VpcId=vpc)["GroupId"]
    ecs.create_cluster(clusterName=name)
    definition = register_template(aws, f"{name}-serving", base)
    ecs.create_service(
        cluster=name,
        serviceName=f"{name}-serving",
        taskDefinition=definition,
        desiredCount=0,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )
    return {"ecs_cluster": name, "ecs_service": f"{name}-serving"}


def register_template(aws: SimulatedAws, family: str, base: str, **variables: str) -> str:
    """Terraform's definition, with some environment of the service; its ARN."""
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    answer = aws.client("ecs").register_task_definition(
        family=family,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="512",
        memory="1024",
        volumes=[{"name": "spool"}],
        containerDefinitions=[
            {
                "name": "service",
                "image": base,
                "environment": environment,
                "dependsOn": [{"containerName": "shipper", "condition": "START"}],
                "readonlyRootFilesystem": True,
            },
            {"name": "shipper", "image": base, "command": ["shipper"], "essential": True},
        ],
        tags=[{"key": "project", "value": "deposit"}],
    )
    return str(answer["taskDefinition"]["taskDefinitionArn"])
