"""Settings of a stack that runs: parts under its real supervisor, started and changed as `deposit up` does it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import started
from chaos import until
from load import Load

from deposit.data.period import parse_period
from deposit.database import transaction
from deposit.deploy.credentials import credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local import lifecycle, supervision
from deposit.errors import ReleaseError, UpstreamError
from deposit.keys import digest
from deposit.progress import log_progress
from deposit.registry.registry import ModelRegistry
from deposit.registry.versions import Version
from deposit.release import leases, packaging, requests
from deposit.release.gateway import trust
from deposit.release.repository import Release
from deposit.replay.client import service
from deposit.replay.loan import borrowed_traffic
from deposit.settings import Settings, load_settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
PARTS = ("postgres", "objectstore", "gateway", "releaser")
WAIT = 120


def up() -> Settings:
    """Without the parts that take long to start."""
    return started.up(PARTS)


@pytest.fixture(scope="module")
def environment(free_ports: Callable[[int], int]) -> Iterator[dict[str, str]]:
    with started.stack_environment(free_ports) as variables:
        yield variables


@pytest.fixture
def stack(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The stack with nothing set but its place, and nothing live."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = up()
    with transaction(settings.database) as connection:
        leases.take_away(connection, "deposit", None, "a test begins")
    until(answers(settings, 503))
    return settings


@pytest.fixture(autouse=True)
def registered(make_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models as if MLflow had them: of production, and of a replay."""
    folders = {}
    for name, seed in (("deposit", 1), ("replay", 2)):
        folders[f"{name}-v1"] = tmp_path / name
        make_model(tmp_path / name, version=1, seed=seed)
        (tmp_path / name / "release.json").unlink()

    def by_id(_: ModelRegistry, model_id: str) -> Version:
        return Version(
            model_id=model_id, version=1, run_id=model_id, metrics={}, aliases=(), created="2026", dataset="d"
        )

    def download(_: ModelRegistry, version: Version, folder: Path) -> None:
        shutil.copytree(folders[version.model_id], folder, dirs_exist_ok=True)

    monkeypatch.setattr(ModelRegistry, "by_id", by_id)
    monkeypatch.setattr(ModelRegistry, "download", download)
    # MLflow has no run of them, and so no figures for a model card
    monkeypatch.setattr("deposit.release.card_publisher.publish_card", lambda *_: None)


def release(settings: Settings, model_id: str) -> Release:
    return requests.wait(settings.database, requests.request_release(settings, model_id).id, WAIT)


def post(settings: Settings, customers: list[dict[str, Any]]) -> httpx.Response:
    with httpx.Client(
        base_url=settings.gateway_url, verify=trust(settings.gateway, settings.state), trust_env=False, timeout=30
    ) as client:
        return client.post("/predict", json={"customers": customers})


def answers(settings: Settings, status: int) -> Callable[[], bool]:
    def look() -> bool:
        try:
            return post(settings, []).status_code == status
        except httpx.TransportError:
            return False

    return look


# `deposit replay` itself, of which all that trains and scores is left out
REPLAY = """
import time
from deposit import console
from deposit.cli import monitoring_commands
from deposit.replay import replay as module
from deposit.replay.loan import borrowed_traffic

def replay(settings, first, last, training, progress):
    with borrowed_traffic(settings.changed("mlflow", model_name="replay"), progress):
        print("begun", flush=True)
        time.sleep(600)

module.replay = replay
console.run(lambda: monitoring_commands.replay("2008-11", "2010-11"))
"""


@contextmanager
def replay_process() -> Iterator[subprocess.Popen[str]]:
    """A replay that has production's traffic."""
    process = subprocess.Popen([sys.executable, "-c", REPLAY], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def holder_is_gone(settings: Settings) -> bool:
    with transaction(settings.database) as connection:
        return leases.orphan(connection) is not None


def test_tls_stays_when_the_releaser_looks_and_the_stacks_own_clients_know_it(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, customers: list[dict[str, Any]]
) -> None:
    with monkeypatch.context() as shell:
        shell.setenv("DEPOSIT_GATEWAY__TLS", "internal")
        settings = up()
    assert load_settings() == settings  # in another shell
    until(answers(settings, 503))
    assert release(settings, "deposit-v1").state == "live"
    assert answers(settings, 422)()
    (seen,) = [part.url for part in lifecycle.status(settings) if part.name == "gateway"]
    assert seen == settings.gateway_url == f"https://127.0.0.1:{settings.stack.gateway_port}"
    with service(settings) as api:
        api.predict(pd.DataFrame(customers[:3]).assign(id=range(3)), parse_period("2008-05"))
    assert httpx.get(seen.replace("https", "http"), trust_env=False, timeout=60).status_code == 400

    settings = up()  # nothing is set any more
    assert settings.gateway_url.startswith("http://")
    until(answers(settings, 422))


def test_a_service_follows_its_settings_and_secrets_without_a_failed_request(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, customers: list[dict[str, Any]]
) -> None:
    first = release(stack, "deposit-v1")
    assert post(stack, customers[:101]).status_code == 200
    place = Layout(stack.state.root)
    before = credentials(place.secrets).releaser_key
    with Load(stack.stack.gateway_port, customers[0]) as load:
        until(lambda: len(load.answers) > 50)
        monkeypatch.setenv("DEPOSIT_SERVE__MAX_CUSTOMERS", "100")
        monkeypatch.setenv("DEPOSIT_SERVE__MAX_BODY_BYTES", "1024000")
        place.secrets.write_text(place.secrets.read_text().replace(before, "f" * 40))
        settings = up()
        until(lambda: post(settings, customers[:101]).status_code == 422)
        until(lambda: len(supervision.states(place)) == len(PARTS) + 1)  # the old one is drained and gone
        after = len(load.answers)
        until(lambda: len(load.answers) > after + 50)
    assert load.failures == []
    renewed, retired = requests.history(settings.database)[:2]
    assert (renewed.kind, renewed.state, renewed.bento_sha256) == ("renewal", "live", first.bento_sha256)
    assert (retired.id, retired.state) == (first.id, "retired")
    script = (place.supervisor / "conf.d" / f"serving-{renewed.id}.sh").read_text()
    assert digest("f" * 40) in script
    assert digest(before) not in script

    monkeypatch.setenv("DEPOSIT_RELEASE__START_TIMEOUT", "0.01")  # no service starts so fast
    monkeypatch.setenv("DEPOSIT_SERVE__BURST", "7")
    settings = up()
    until(lambda: requests.history(settings.database)[0].state == "failed")
    assert requests.live(settings.database) == renewed
    assert post(settings, customers[:1]).status_code == 200
    until(lambda: len(supervision.states(place)) == len(PARTS) + 1)
    # not again and again
    assert [release.state for release in requests.history(settings.database)[:2]] == ["failed", "live"]


def test_a_service_gets_the_code_of_a_new_version_without_a_failed_request(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, customers: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = release(stack, "deposit-v1")
    assert requests.request_renewed_code(stack) is None  # it is of this version
    page = tmp_path / "README.md"
    page.write_text("of a new version\n")
    files = packaging.source_files() | {"README.md": page}
    monkeypatch.setattr(packaging, "source_files", lambda: files)
    with Load(stack.stack.gateway_port, customers[0]) as load:
        until(lambda: len(load.answers) > 50)
        lifecycle._renew_code(stack, log_progress)
        after = len(load.answers)
        until(lambda: len(load.answers) > after + 50)
    assert load.failures == []
    renewed, retired = requests.history(stack.database)[:2]
    assert (renewed.state, renewed.model_id) == ("live", first.model_id)
    assert renewed.bento_sha256 != first.bento_sha256
    assert (retired.id, retired.state) == (first.id, "retired")
    assert requests.request_renewed_code(stack) is None

    # a version that cannot be packaged leaves what serves as it is
    (tmp_path / "service.py").write_text("raise SystemExit('broken')\n")
    broken = files | {"service.py": tmp_path / "service.py"}
    monkeypatch.setattr(packaging, "source_files", lambda: broken)
    messages: list[str] = []
    lifecycle._renew_code(stack, lambda message, *_: messages.append(message))
    assert messages[-1].endswith("what serves goes on with the code that it was packaged with")
    assert requests.live(stack.database) == renewed
    assert post(stack, customers[:1]).status_code == 200


def test_a_replay_that_fails_gives_traffic_back(stack: Settings) -> None:
    replaying = stack.changed("mlflow", model_name="replay", experiment="replay")

    def fail() -> None:
        with borrowed_traffic(replaying, log_progress) as traffic:
            traffic.put("replay-v1")
            raise UpstreamError("no answer")

    with pytest.raises(UpstreamError, match="no answer"):
        fail()
    assert requests.live(stack.database) is None
    until(answers(stack, 503))
    first = release(stack, "deposit-v1")
    with pytest.raises(UpstreamError, match="no answer"):
        fail()
    live = requests.live(stack.database)
    assert live is not None
    assert (live.model_id, live.bento_sha256) == ("deposit-v1", first.bento_sha256)
    with pytest.raises(KeyboardInterrupt), borrowed_traffic(replaying, log_progress):
        raise KeyboardInterrupt  # before its model was live
    assert requests.live(stack.database) == live


def test_a_replay_that_is_killed_loses_its_traffic(stack: Settings) -> None:
    first = release(stack, "deposit-v1")
    with replay_process() as process:
        release(stack, "replay-v1")
        process.kill()
        process.wait()
        until(lambda: requests.history(stack.database)[0].kind == "rollback")
    live = requests.wait(stack.database, requests.history(stack.database)[0].id, WAIT)
    assert (live.state, live.model_id, live.bento_sha256) == ("live", "deposit-v1", first.bento_sha256)
    with transaction(stack.database) as connection:
        assert leases.current(connection) is None


def test_a_replay_keeps_its_traffic_when_postgres_restarts_and_when_it_is_run_again(stack: Settings) -> None:
    first, replaying = release(stack, "deposit-v1"), stack.changed("mlflow", model_name="replay")
    with replay_process() as process:
        borrowed = release(stack, "replay-v1")
        supervisor = supervision.supervisor(Layout(stack.state.root))
        supervisor.call("stopProcess", "postgres")
        supervisor.call("startProcess", "postgres")
        until(lambda: not holder_is_gone(stack))
        with pytest.raises(ReleaseError, match="another replay"), borrowed_traffic(replaying, log_progress):
            pass
        # the releaser would take the traffic back if the next one were slow to start
        supervisor.call("stopProcess", "releaser")
        process.kill()
        process.wait()
        until(lambda: holder_is_gone(stack))
    with replay_process() as process:
        supervisor.call("startProcess", "releaser")
        assert requests.live(stack.database) == borrowed
        process.terminate()  # at once, and what was live before the first of both
        assert process.wait(WAIT) == 130
    live = requests.live(stack.database)
    assert live is not None
    assert (live.model_id, live.bento_sha256) == ("deposit-v1", first.bento_sha256)


def test_a_replay_that_ends_leaves_its_model_and_one_without_a_lease_puts_none(stack: Settings) -> None:
    release(stack, "deposit-v1")
    replaying = stack.changed("mlflow", model_name="replay")
    with borrowed_traffic(replaying, log_progress) as traffic:
        traffic.put("replay-v1")
    live = requests.live(stack.database)
    assert live is not None
    assert live.model_id == "replay-v1"
    with pytest.raises(ReleaseError, match="taken back"):
        traffic.put("replay-v1")
    assert requests.live(stack.database) == live
