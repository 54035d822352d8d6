"""What the Docker engine has lost or refuses, in our words: a real client before an engine of few answers."""

import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deposit.errors import ReleaseError, UpstreamError
from deposit.release.repository import Release
from deposit.release.targets.docker import DockerTarget, engine
from deposit.settings import Settings

SHA256 = "5" * 64
NOW = datetime.now(UTC)
RELEASE = Release(
    id=7, kind="release", model_id="deposit-v3", why="", bento_tag="deposit:3", bento_uri="s3://b/3",
    bento_sha256=SHA256, state="live", reason="", target="docker", endpoint=None, requested_at=NOW, updated_at=NOW,
)  # fmt: skip
IMAGE = "/images/deposit-service:555555555555/json"
BASE = "/images/deposit-serving:local/json"
CONTAINER = "/containers/deposit-serving-7/json"
NETWORKS = {f"/networks/deposit_{name}": {"Id": name} for name in ("serving", "objects")}
VOLUMES = {f"/volumes/deposit_{name}": {"Name": name} for name in ("spool", "catalog", "secrets-serving")}
BUILT = {IMAGE: {"Id": "sha256:1", "Config": {"Labels": {"deposit.bento.sha256": SHA256, "deposit.base": "sha256:2"}}}}
RUNNING = {"Status": "running", "Running": True, "Restarting": False}


@contextmanager
def answering(answers: dict[str, Any], status: int = 404) -> Iterator[None]:
    """An engine that has these things by path, and answers `status` to all else."""

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path if self.path == "/version" else "/" + self.path.partition("?")[0].split("/", 2)[2]
            content = {"ApiVersion": "1.44", "MinAPIVersion": "1.24"} if path == "/version" else answers.get(path)
            body = json.dumps(content if content is not None else {"message": "none such"}).encode()
            self.send_response(200 if content is not None else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def target() -> DockerTarget:
    return DockerTarget(Settings())


def container(**changed: Any) -> dict[str, Any]:
    """What the engine says of the service's container; nothing that was asked of it changes it."""
    networks = {name.removeprefix("/networks/"): {} for name in NETWORKS}
    state = {"State": RUNNING, "RestartCount": 0, "NetworkSettings": {"Networks": networks}} | changed
    return {CONTAINER: {"Id": "c", "Name": "/deposit-serving-7", "Config": {"Labels": {}}, **state}}


@pytest.mark.parametrize("known", [{BASE: {"Id": "sha256:2"}}, {}])
def test_an_image_is_used_as_it_is_on_its_base_or_without_any(target: DockerTarget, known: dict[str, Any]) -> None:
    with answering(BUILT | known):
        assert target.installed(RELEASE)


@pytest.mark.parametrize("known", [{}, {BASE: {"Id": "sha256:2"}}, {**BUILT, BASE: {"Id": "sha256:3"}}])
def test_an_image_that_is_gone_or_of_another_base_is_built(target: DockerTarget, known: dict[str, Any]) -> None:
    with answering(known):
        assert not target.installed(RELEASE)


def test_without_a_base_nothing_is_built(target: DockerTarget, tmp_path: Path) -> None:
    archive = tmp_path / "release.bento"
    with tarfile.open(archive, "w"):
        pass
    gone = "the base image deposit-serving:local is gone from the Docker engine: run `make up`, which makes it anew"
    with answering({}), pytest.raises(ReleaseError, match=gone):
        target.install(RELEASE, archive)


@pytest.mark.parametrize(
    ("left", "gone"),
    [
        (NETWORKS | VOLUMES, "the image of the service deposit-service:555555555555 is gone"),
        (VOLUMES | BUILT, "the network deposit_serving is gone"),
        (NETWORKS | BUILT, "the volume deposit_spool is gone"),
        (NETWORKS | VOLUMES | BUILT, "a resource is missing"),
    ],
)
def test_what_a_start_lacks_is_named(target: DockerTarget, left: dict[str, Any], gone: str) -> None:
    with answering(left), pytest.raises(ReleaseError, match=rf"{gone}.*run `make up`"):
        target.start(RELEASE)


def test_a_container_that_runs_where_it_should_is_no_problem(target: DockerTarget) -> None:
    with answering(container()):
        assert target.problem(7) is None


def test_one_that_nobody_can_reach_is_a_problem(target: DockerTarget) -> None:
    with answering(container(NetworkSettings={"Networks": {"deposit_objects": {}}})):
        assert target.problem(7) == "deposit-serving-7 is not in its networks deposit_serving, deposit_objects"


def test_a_replica_that_is_gone_is_a_problem_if_there_was_one(target: DockerTarget) -> None:
    with answering(container(Config={"Labels": {"deposit.replicas": "2"}})):
        assert target.problem(7) == "there is no container deposit-serving-7-2"


def test_one_that_is_gone_is_a_problem_and_stopping_it_is_none(target: DockerTarget) -> None:
    with answering({"/containers/json": []}):
        assert target.problem(7) == "there is no container deposit-serving-7"
        assert target.started_with(7) is None
        target.stop(7)


@pytest.mark.parametrize(("status", "error"), [(404, ReleaseError), (409, ReleaseError), (500, UpstreamError)])
def test_a_refusal_is_an_error_of_ours_and_short(status: int, error: type[Exception]) -> None:
    with answering({}, status), pytest.raises(error, match="none such") as caught, engine() as client:
        client.containers.get("x")
    assert "\n" not in str(caught.value)


def test_an_engine_that_does_not_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(UpstreamError, match="start it"), engine() as client:
        client.ping()
