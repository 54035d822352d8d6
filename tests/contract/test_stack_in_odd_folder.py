"""Real parts of the stack without Docker, started as `up` does from a folder with a path as people have them."""

import http.client
import os
import shutil
import socket
import ssl
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import stand_in_grafana

from deposit import proxies
from deposit.deploy.credentials import credentials
from deposit.deploy.layout import Layout
from deposit.deploy.local import grafana, lifecycle, processes, supervision
from deposit.deploy.local.programs import programs, wanted_ports
from deposit.errors import ConfigError
from deposit.release.gateway import Gateway
from deposit.settings import Settings, chosen_settings, load_settings
from deposit.store import ObjectStore
from deposit.waiting import retry_while_down

pytestmark = pytest.mark.servers
NAME = 'it\'s ünïcode, 100% "long" ; #1, ' + "x" * 110
PARTS = ["postgres", "objectstore", "gateway"]
DEAD = "http://127.0.0.1:9"
KEY = "datasets/rows"
CONTENT = os.urandom(300_000)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of gRPC begins with; a server that lets it in answers with a frame of its own."""


@dataclass(frozen=True)
class Started:
    """A running stack: the foundation and the gateway, by the steps of `up`."""

    settings: Settings
    place: Layout

    @classmethod
    def start(cls, folder: Path, environment: dict[str, str]) -> "Started":
        os.environ.update(environment | {"DEPOSIT_STATE_DIR": str(folder)})
        settings = chosen_settings()
        place = Layout(settings.state.root)
        place.make()
        secrets = credentials(place.secrets)
        parts = programs(settings, place, secrets)
        lifecycle._lay_out(settings, place, secrets)
        supervision.start(place, parts)
        lifecycle._start(place, parts, PARTS, lambda *_: None)
        retry_while_down(
            lambda: lifecycle._prepare_servers(settings.stack, settings.store, secrets), lifecycle.PREPARE_TIMEOUT
        )
        lifecycle._start(place, parts, ["grafana"], lambda *_: None)
        return cls(load_settings(), place)


@pytest.fixture(scope="module")
def environment(free_ports: Callable[[int], int]) -> Iterator[dict[str, str]]:
    """Ports of the stack's own and a Grafana, in a process whose proxy is dead."""
    names = ("GATEWAY", "AIRFLOW", "MLFLOW", "EVIDENTLY", "STORE", "POSTGRES", "GRAFANA", "INTERNAL")
    first = free_ports(len(names) + 9)
    apart = Path(tempfile.mkdtemp(prefix="dep-"))
    before = dict(os.environ)
    os.environ.update({"http_proxy": DEAD, "HTTPS_PROXY": DEAD, "ALL_PROXY": DEAD, "no_proxy": "", "NO_PROXY": ""})
    proxies.settle(os.environ)
    try:
        ports = {f"DEPOSIT_STACK__{name}_PORT": str(first + number) for number, name in enumerate(names)}
        yield ports | {"DEPOSIT_STACK__GRAFANA": str(stand_in_grafana.install(apart / "a Grafana, 'odd'"))}
    finally:
        shutil.rmtree(apart)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def stack(environment: dict[str, str]) -> Iterator[Started]:
    parent = Path(tempfile.mkdtemp(prefix="dep-"))
    made = Started.start(parent / NAME / ".deposit", environment)
    try:
        ObjectStore(made.settings.store).data.put(KEY, CONTENT)
        yield made
    finally:
        supervision.stop(made.place)
        shutil.rmtree(parent)


def content(settings: Settings) -> bytes:
    return ObjectStore(settings.store).data.get(KEY)


def open_to_others(root: Path) -> list[Path]:
    """What another user of the machine could read: no folder above it is closed to him."""
    paths = []
    for folder, folders, files in os.walk(root):
        closed = not Path(folder).stat().st_mode & 0o077
        folders[:] = [] if closed else folders
        paths += [] if closed else [Path(folder, name) for name in files]
    return paths


def inner_ports(settings: Settings) -> list[int]:
    """All that the object store listens on, but S3."""
    return sorted(listening(processes.holder(settings.stack.store_port)) - {settings.stack.store_port})


def listening(process: psutil.Process | None) -> set[int]:
    assert process is not None
    return {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}


def test_its_parts_work_past_a_dead_proxy(stack: Started) -> None:
    settings = stack.settings
    assert content(settings) == CONTENT
    assert httpx.get(settings.gateway_url, timeout=60).status_code == 503
    assert Gateway(settings).answers()
    with pytest.raises(httpx.ConnectError):  # what is outside is asked for by the proxy
        httpx.get("http://deposit.test", timeout=60)


def test_grafana_runs_with_the_files_of_compose_and_is_asked_by_the_gateway(stack: Started) -> None:
    settings, place = stack.settings, stack.place
    secrets, url = credentials(place.secrets), grafana.url(settings.stack, settings.gateway, settings.links)
    assert httpx.get(f"{url}/api/state", timeout=60).status_code == 401
    health = httpx.get(f"{url}/api/health", timeout=60)
    assert (health.json()["database"], health.headers["x-content-type-options"]) == ("ok", "nosniff")
    state = httpx.get(f"{url}/api/state", auth=(grafana.ADMIN, secrets.grafana_admin), timeout=60).json()
    assert state["users"] == ["reader"]
    assert state["asked_as"] == url.removeprefix("http://")
    assert sorted(state["dashboards"]) == ["Data", "Model", "Service", "User log"]
    assert (len(state["rules"]), state["home"]) == (10, "Service")
    assert state["hooks"] == ["http://127.0.0.1:9/"]
    configuration = state["configuration"]
    assert all(Path(configuration["paths"][name]).is_relative_to(place.grafana) for name in ("data", "logs", "plugins"))
    assert (configuration["server"]["http_addr"], configuration["server"]["root_url"]) == ("127.0.0.1", f"{url}/")
    (status,) = [part for part in lifecycle.status(settings) if part.name == "grafana"]
    assert (status.state, status.url) == ("running", url)
    assert url in lifecycle.dashboards(settings.stack, place, [status])
    assert lifecycle.environment(settings)["GRAFANA_ADMIN_PASSWORD"] == secrets.grafana_admin


def test_a_grafana_that_does_not_start_takes_nothing_down(stack: Started) -> None:
    settings, place = stack.settings, stack.place
    parts = programs(settings, place, credentials(place.secrets))
    program = grafana.installation(settings.stack)
    assert program is not None
    supervision.supervisor(place).call("stopProcess", "grafana")
    (program.home / "broken").touch()
    messages: list[str] = []
    lifecycle._start(place, parts, ["grafana"], lambda message, *_: messages.append(message))
    assert messages[-1].endswith(f"see {place.logs}/grafana.log; all else goes on without it")
    assert "it is broken" in (place.logs / "grafana.log").read_text()
    seen = lifecycle.status(settings)
    assert {part.name: part.state for part in seen if part.name in [*PARTS, "grafana"]} == {
        **dict.fromkeys(PARTS, "running"), "grafana": "failed",
    }  # fmt: skip
    assert "Grafana does not start" in lifecycle.dashboards(settings.stack, place, seen)
    assert httpx.get(settings.gateway_url, timeout=60).status_code == 503
    assert httpx.get(grafana.url(settings.stack, settings.gateway, settings.links), timeout=60).status_code == 502
    (program.home / "broken").unlink()


def test_nothing_of_it_is_open_to_other_users(stack: Started) -> None:
    place = stack.place
    assert open_to_others(place.root) == []
    assert stat.S_IMODE(place.sockets.stat().st_mode) == 0o700
    assert place.supervisor_socket.parent == place.sockets
    assert not place.sockets.is_relative_to(place.root)


def test_a_second_stack_learns_which_one_holds_its_ports(stack: Started) -> None:
    settings, place = stack.settings, stack.place
    supervisor = supervision.supervisor(place).call("getPID")
    with pytest.raises(ConfigError) as refused:
        processes.require_free(wanted_ports(settings.stack))
    message = refused.value.whole
    assert message.count("the stack in") == 1
    assert f"the stack in {place.root} (supervisord, pid {supervisor})" in message
    assert "DEPOSIT_STACK__GATEWAY_PORT" in message


def test_a_stranger_gets_nothing_over_http(stack: Started) -> None:
    """As any user of the machine: no key, no token."""
    settings = stack.settings
    store = settings.store
    paths = (
        f"/buckets/{store.data_bucket}/{KEY}", f"/{store.data_bucket}/{KEY}", f"/{store.bentos_bucket}/release",
        "/1,01637037d6", "/dir/assign", "/dir/lookup?volumeId=1", f"/col/delete?collection={store.data_bucket}",
        "/vol/grow?count=1", "/submit", "/delete?fid=1,01",
    )  # fmt: skip
    let_in = []
    for port in (settings.stack.store_port, *inner_ports(settings)):
        for method in ("GET", "PUT", "POST", "DELETE"):
            for path in paths:
                status = asked(port, method, path)
                if status is not None and status < 400:
                    let_in.append((port, method, path, status))
    assert let_in == []
    assert content(settings) == CONTENT


def test_a_stranger_gets_nothing_over_grpc(stack: Started) -> None:
    """Each inner port, and each socket that the process has opened anywhere."""
    settings, place = stack.settings, stack.place
    inner = inner_ports(settings)
    assert len(inner) == 7
    process = processes.holder(settings.stack.store_port)
    assert process is not None
    sockets = sorted({each.laddr for each in process.net_connections("unix") if each.laddr})
    ours = {str(place.sockets / "filer.sock"), str(place.sockets / "s3.sock")}
    assert ours < set(sockets)
    doors: list[int | str] = [*inner, *(path for path in sockets if path not in ours)]
    assert [door for door in doors if speaks_grpc(door, None)] == []
    assert [door for door in doors if speaks_grpc(door, stranger())] == []
    trusted = stranger()
    trusted.load_cert_chain(place.guard / "guard.crt", place.guard / "guard.key")
    assert len([door for door in doors if speaks_grpc(door, trusted)]) == 8


def test_a_folder_that_was_renamed_while_it_ran_goes_on(stack: Started, environment: dict[str, str]) -> None:
    old = supervision.supervisor(stack.place).call("getPID")
    folder = stack.place.root.parent
    moved = folder.rename(folder.with_name(f"moved {folder.name}"))
    supervision.stop(Layout(moved / ".deposit"))
    assert not psutil.pid_exists(old)
    again = Started.start(moved / ".deposit", environment)
    try:
        kept: list[bytes] = []
        # for a second or two after it has come back the store refuses to read what it has
        retry_while_down(lambda: kept.append(content(again.settings)), lifecycle.PREPARE_TIMEOUT)
        assert kept == [CONTENT]
        assert httpx.get(again.settings.gateway_url, timeout=60).status_code == 503
    finally:
        supervision.stop(again.place)
    for place in (stack.place, again.place):
        assert not place.sockets.exists()


def asked(port: int, method: str, path: str) -> int | None:
    """The status of an answer over HTTP/1.1; None if there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, None if method == "GET" else b"stranger")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def stranger() -> ssl.SSLContext:
    """TLS of one who trusts everybody and shows no certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def speaks_grpc(door: int | str, encrypted: ssl.SSLContext | None) -> bool:
    """Whether a server answers a client of gRPC."""
    connection = socket.socket(socket.AF_INET if isinstance(door, int) else socket.AF_UNIX)
    connection.settimeout(5)
    try:
        connection.connect(("127.0.0.1", door) if isinstance(door, int) else door)
        if encrypted:
            connection = encrypted.wrap_socket(connection, do_handshake_on_connect=False)
            connection.do_handshake()
        connection.sendall(PREFACE)
        answer = connection.recv(9)
    except OSError:
        return False
    finally:
        connection.close()
    # a server's first frame is of the type SETTINGS
    return len(answer) == 9 and answer[3] == 4
