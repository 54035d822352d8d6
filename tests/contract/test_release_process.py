import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from load import Load
from released import WAIT, release, releasing, until
from sqlalchemy import select

from deposit.database import transaction
from deposit.errors import ReleaseError
from deposit.log import shipper
from deposit.log.spools import SpoolFolder
from deposit.release import requests
from deposit.release.gateway import Gateway
from deposit.sections import DatabaseSettings, MlflowSettings, ReleaseSettings, StackSettings, StoreSettings
from deposit.settings import Settings
from deposit.tables import predictions

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("registered")]
TOOLS = Path(sys.executable).parent


@pytest.fixture
def stack(
    database: DatabaseSettings, object_store: StoreSettings, free_ports: Callable[[int], int]
) -> Iterator[Settings]:
    """Supervisor and gateway running, nothing released."""
    # sockets' paths must be short
    folder = Path(tempfile.mkdtemp(prefix="dep-"))
    settings = Settings(
        state_dir=folder,
        database=database.model_copy(update={"writer_url": database.url}),
        store=object_store,
        # none listens there: what the registry would say is patched in
        mlflow=MlflowSettings(tracking_uri=f"http://127.0.0.1:{free_ports(1)}"),
        stack=StackSettings(gateway_port=free_ports(1)),
        release=ReleaseSettings(
            gateway_admin=str(folder / "admin.sock"),
            supervisor_socket=str(folder / "supervisor.sock"),
            first_port=free_ports(10),
            poll_seconds=0.1,
            drain_seconds=3,
        ),
    )
    caddy_config = Gateway(settings).prepare()
    (folder / "supervisor" / "conf.d").mkdir(parents=True)
    (folder / "supervisor.conf").write_text(
        f"""[supervisord]
nodaemon=true
logfile={folder}/logs/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}/logs
[unix_http_server]
file={folder}/supervisor.sock
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:gateway]
command={TOOLS}/caddy run --config {caddy_config}
environment=XDG_DATA_HOME="{folder}",XDG_CONFIG_HOME="{folder}",DEPOSIT_DATABASE__URL="secret"
stdout_logfile={folder}/logs/gateway.log
redirect_stderr=true
[include]
files={folder}/supervisor/conf.d/*.conf
"""
    )
    supervisor = subprocess.Popen(
        [str(TOOLS / "supervisord"), "-c", str(folder / "supervisor.conf")],
        stdout=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "SECRET": "of the stack"},
    )
    try:
        until(lambda: _get(settings, "/").status_code == 503)
        yield settings
    finally:
        supervisor.terminate()
        supervisor.wait(30)
        shutil.rmtree(folder)


def _get(settings: Settings, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{settings.stack.gateway_port}{path}", trust_env=False, timeout=60)


def _served(settings: Settings) -> str:
    response = _get(settings, "/models")
    return str(response.json()["models"][0]["model_id"]) if response.status_code == 200 else ""


def _service_pids(settings: Settings) -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"{settings.state_dir}/serving/".encode() in command and b"launch.py" in command:
                pids.append(int(entry.name))
    return pids


def test_release_and_rollback_under_load_fail_no_request(stack: Settings, customers: list[dict[str, Any]]) -> None:
    response = _get(stack, "/predict")
    assert response.status_code == 503
    assert "deposit release" in response.json()["detail"][0]["message"]
    assert response.headers["x-request-id"]
    with releasing(stack):
        first = release(stack, "deposit-v1")
        assert first.state == "live"
        assert requests.request_release(stack, "deposit-v1") == requests.live(stack.database)
        with pytest.raises(ReleaseError, match="nothing to roll back to"):
            requests.request_rollback(stack.database)
        with Load(stack.stack.gateway_port, customers[0]) as load:
            until(lambda: len(load.answers) > 50)
            second = release(stack, "deposit-v2")
            before = len(load.answers)
            until(lambda: len(load.answers) > before + 50)
            back = requests.wait(stack.database, requests.request_rollback(stack.database).id, WAIT)
            until(lambda: len(_service_pids(stack)) == 1)
            after = len(load.answers)
            until(lambda: len(load.answers) > after + 50)
    assert load.failures == []
    assert set(load.answers) == {"deposit-v1", "deposit-v2"}
    assert load.answers[-1] == "deposit-v1"
    assert (back.kind, back.model_id) == ("rollback", "deposit-v1")
    states = {release.id: release.state for release in requests.history(stack.database)}
    assert states == {first.id: "retired", second.id: "retired", back.id: "live"}
    (pid,) = _service_pids(stack)
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"SECRET" not in environment
    assert b"DATABASE" not in environment
    log = (stack.state_dir / "logs" / "access.log").read_text()
    assert '"status":200' in log
    assert "euribor" not in log


def test_a_lying_model_gets_no_traffic_and_a_killed_service_comes_back(
    stack: Settings, customers: list[dict[str, Any]]
) -> None:
    with releasing(stack):
        live = release(stack, "deposit-v1")
        with Load(stack.stack.gateway_port, customers[0]) as load, pytest.raises(ReleaseError, match="parity"):
            release(stack, "deposit-v3")
        assert load.failures == []
        assert set(load.answers) == {"deposit-v1"}
        assert requests.live(stack.database) == live
        (pid,) = _service_pids(stack)
        os.kill(pid, signal.SIGKILL)
        until(lambda: _service_pids(stack) not in ([], [pid]))
        until(lambda: _served(stack) == "deposit-v1")
        # what a crashed gateway or a curious hand may leave behind
        Gateway(stack).point_to(("127.0.0.1:1",))
        until(lambda: Gateway(stack).upstream() == (live.endpoint,))


@pytest.mark.timeout(900)  # three releases, and clients that leave the machine little
def test_replicas_come_and_go_and_die_under_load_and_no_request_fails(
    stack: Settings, customers: list[dict[str, Any]]
) -> None:
    gateway = Gateway(stack)
    with releasing(stack):
        release(stack, "deposit-v1")
    with Load(stack.stack.gateway_port, customers[0]) as load:

        def answered() -> None:
            before = len(load.answers)
            until(lambda: len(load.answers) > before + 50)

        with releasing(stack.changed("release", replicas=2)):
            until(lambda: len(gateway.upstream()) == 2 and len(_service_pids(stack)) == 2)
            for pid in _service_pids(stack):
                answered()
                os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid: _is_replaced(stack, pid) and _all_ready(gateway))  # type: ignore[misc]
        with releasing(stack):
            until(lambda: len(gateway.upstream()) == 1 and len(_service_pids(stack)) == 1)
            answered()
    assert load.failures == []
    assert sorted(path.name for path in stack.state.spools.glob("*.sqlite")) == ["spool-2.sqlite", "spool.sqlite"]
    assert _shipped(stack) == sorted(load.predictions)


def _is_replaced(settings: Settings, pid: int) -> bool:
    pids = _service_pids(settings)
    return len(pids) == 2 and pid not in pids


def _all_ready(gateway: Gateway) -> bool:
    """Whether both replicas answer; a process is there long before, and the places name it until it is missed."""
    addresses = gateway.upstream()
    try:
        answers = [httpx.get(f"http://{address}/readyz", trust_env=False, timeout=60) for address in addresses]
    except httpx.TransportError:
        return False
    return len(addresses) == 2 and all(answer.is_success for answer in answers)


def _shipped(settings: Settings) -> list[str]:
    """The ids of all predictions, once the shipper has emptied every spool."""
    stop, spools = threading.Event(), SpoolFolder(settings)
    thread = threading.Thread(target=shipper.run, args=(settings, stop))
    thread.start()
    try:
        until(lambda: spools.state().rows == 0)
    finally:
        stop.set()
        thread.join(WAIT)
        spools.close()
    with transaction(settings.database) as connection:
        return sorted(str(row.prediction_id) for row in connection.execute(select(predictions.c.prediction_id)))


def test_a_releaser_killed_midway_is_finished_by_the_next(stack: Settings) -> None:
    with releasing(stack):
        release(stack, "deposit-v1")
    asked = requests.request_release(stack, "deposit-v2")
    code = (
        "import threading; from deposit.release.reconciler import run; from deposit.settings import load_settings; "
        "run(load_settings(), threading.Event())"
    )
    for _ in range(2):
        before = requests.history(stack.database)[0].updated_at
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **_environment(stack)})
        until(lambda before=before: requests.history(stack.database)[0].updated_at > before)  # type: ignore[misc]
        process.kill()
        process.wait()
        assert requests.history(stack.database)[0].state in {"building", "testing"}
        assert _served(stack) == "deposit-v1"
    with releasing(stack):
        assert requests.wait(stack.database, asked.id, WAIT).state == "live"
        assert _served(stack) == "deposit-v2"
        until(lambda: len(_service_pids(stack)) == 1)


def test_the_archive_that_was_changed_is_refused(stack: Settings, object_store: StoreSettings) -> None:
    from deposit.store import ObjectStore, split_uri

    asked = requests.request_release(stack, "deposit-v2")
    bucket, key = split_uri(asked.bento_uri)
    store = ObjectStore(object_store).bucket(bucket)
    content = store.get(key)
    store.put(key, content + secrets.token_bytes(8))
    try:
        with releasing(stack), pytest.raises(ReleaseError, match="sha256"):
            requests.wait(stack.database, asked.id, WAIT)
        assert _get(stack, "/").status_code == 503
    finally:
        store.put(key, content)


def _environment(settings: Settings) -> dict[str, str]:
    store, release = settings.store, settings.release
    assert settings.database.url is not None
    assert store.secret_key is not None
    return {
        "DEPOSIT_STATE_DIR": str(settings.state_dir),
        "DEPOSIT_DATABASE__URL": settings.database.url.get_secret_value(),
        "DEPOSIT_STORE__ENDPOINT_URL": str(store.endpoint_url),
        "DEPOSIT_STORE__ACCESS_KEY": str(store.access_key),
        "DEPOSIT_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
        "DEPOSIT_RELEASE__GATEWAY_ADMIN": release.gateway_admin,
        "DEPOSIT_RELEASE__SUPERVISOR_SOCKET": release.supervisor_socket,
        "DEPOSIT_RELEASE__FIRST_PORT": str(release.first_port),
        "DEPOSIT_RELEASE__POLL_SECONDS": "0.1",
        "DEPOSIT_STACK__GATEWAY_PORT": str(settings.stack.gateway_port),
    }
