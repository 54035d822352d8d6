"""Models by id from a real S3 server, read by the identity that the stack gives to services."""

import asyncio
import json
import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deposit.deploy import objectstore
from deposit.deploy.credentials import random_credentials
from deposit.deploy.layout import Layout
from deposit.errors import UpstreamError
from deposit.model.artifact import BOOSTER, MODEL, PARITY, ModelArtifact, sha256_of
from deposit.registry.catalog import Catalog, CatalogModel, Files, encode_catalog
from deposit.sections import ServeSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore
from serving import models
from serving.models import LoadedModel, ModelCache
from serving.problems import RequestError

pytestmark = pytest.mark.servers
SERVED, KNOWN = 7, (1, 2, 3, 4)
BUCKET = "deposit-mlflow"


class Wire:
    """A TCP forwarder that counts what is asked of the store, and can be cut."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.delay = 0.0
        self._target = target
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        assert self._listener
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._pairs:
            end.close()
        self._pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._pairs += [near, far]
            threading.Thread(target=self._copy, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, False), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, asking: bool) -> None:
        try:
            while data := source.recv(65536):
                if asking and data.startswith(b"GET "):
                    self.asked.append(data.split()[1].decode().rpartition("/")[2])
                    time.sleep(self.delay)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # cut


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], int]
) -> Iterator[dict[str, StoreSettings]]:
    """SeaweedFS with the stack's own identities; settings by identity."""
    folder, port, secrets = tmp_path_factory.mktemp("objects"), free_ports(1), random_credentials()
    known = objectstore.identities(Settings().store, secrets)
    place = Layout(folder)
    place.make()
    internal_port = free_ports(10)
    objectstore.configure(place, known, secrets.store_admin, internal_port)
    command = objectstore.command(place, port, internal_port)
    settings = {
        identity.name: StoreSettings(
            endpoint_url=f"http://127.0.0.1:{port}", access_key=identity.access_key, secret_key=identity.secret_key
        )
        for identity in known
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _until_ready(ObjectStore(settings["admin"]), folder / "log")
        yield settings
    finally:
        process.send_signal(signal.SIGKILL)  # its data is thrown away
        process.wait()


def _until_ready(store: ObjectStore, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return store.ensure_buckets()
        except UpstreamError as error:
            if time.monotonic() > deadline:
                pytest.fail(f"{error}; its log ends: {log.read_text()[-2000:]}")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def folders(
    make_model: Callable[..., ModelArtifact], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, tuple[ModelArtifact, Path]]:
    """Small real models by version."""
    made = {}
    for version in (*KNOWN, SERVED):
        folder = tmp_path_factory.mktemp(f"v{version}")
        made[version] = make_model(folder, version=version, seed=version), folder
    return made


@pytest.fixture(scope="module")
def registered(
    server: dict[str, StoreSettings], folders: dict[int, tuple[ModelArtifact, Path]]
) -> dict[int, CatalogModel]:
    """The models as they lie in MLflow's bucket, and what the catalog says of them."""
    store = ObjectStore(server["mlflow"])
    return {version: _upload(store, version, f"1/models/m-{version}", folders[version][1]) for version in folders}


def _upload(store: ObjectStore, version: int, prefix: str, folder: Path) -> CatalogModel:
    for name in (MODEL, PARITY, BOOSTER):
        store.bucket(BUCKET).put(f"{prefix}/{name}", (folder / name).read_bytes())
    return CatalogModel(
        model_id=f"deposit-v{version}",
        version=version,
        created=f"2026-01-0{version}T00:00:00+00:00",
        dataset="d",
        metrics={"roc_auc": 0.7 + version / 100},
        aliases={2: ("previous",), 4: ("champion",)}.get(version, ()),
        files=Files(BUCKET, prefix, sha256_of((folder / MODEL).read_bytes())),
        threshold=0.3,
    )


@pytest.fixture
def wire(server: dict[str, StoreSettings], free_ports: Callable[[int], int]) -> Iterator[Wire]:
    proxy = Wire(free_ports(1), int(str(server["serving"].endpoint_url).rpartition(":")[2]))
    proxy.open()
    yield proxy
    proxy.cut()


@pytest.fixture
def settings(
    server: dict[str, StoreSettings], registered: dict[int, CatalogModel], wire: Wire, tmp_path: Path
) -> Settings:
    """A service's settings: the reader's key, by way of the wire."""
    store = server["serving"].model_copy(update={"endpoint_url": f"http://127.0.0.1:{wire.port}"})
    made = Settings(state_dir=tmp_path, store=store, serve=ServeSettings(models_kept=2))
    _publish(made, registered.values())
    return made


def _publish(settings: Settings, known: Any) -> None:
    settings.catalog_path.write_bytes(encode_catalog(Catalog(tuple(known))))


@pytest.fixture
def service(settings: Settings, folders: dict[int, tuple[ModelArtifact, Path]]) -> ModelCache:
    return ModelCache(LoadedModel.open(folders[SERVED][1], settings.expiry), settings)


def _get(service: ModelCache, *ids: str | None) -> list[Any]:
    """Ask for models at the same time; results or RequestErrors in the same order."""

    async def ask() -> list[Any]:
        return await asyncio.gather(*(service.get(model_id) for model_id in ids), return_exceptions=True)

    return asyncio.run(ask())


def _refused(service: ModelCache, model_id: str) -> RequestError:
    (refusal,) = _get(service, model_id)
    assert isinstance(refusal, RequestError), refusal
    assert refusal.problems[0].field == "model"
    return refusal


@pytest.mark.parametrize("model_id", [None, "deposit-v7"])
def test_the_served_model_answers_at_once(service: ModelCache, wire: Wire, model_id: str | None) -> None:
    wanted = service.get(model_id)
    with pytest.raises(StopIteration) as done:  # a coroutine that awaits nothing ends at its first step
        wanted.send(None)
    assert done.value.value is service.served
    assert wire.asked == []


def test_a_pinned_model_answers_as_it_was_trained(
    service: ModelCache, folders: dict[int, tuple[ModelArtifact, Path]], wire: Wire
) -> None:
    (loaded,) = _get(service, "deposit-v3")
    trained = folders[3][0]
    assert (loaded.model_id, loaded.release["version"], loaded.artifact.threshold) == ("deposit-v3", 3, 0.3)
    matrix = loaded.artifact.encoder.encode_rows(trained.parity.rows)
    assert loaded.artifact.probabilities(matrix).tolist() == list(trained.parity.probabilities)
    assert list(trained.parity.probabilities) != list(folders[SERVED][0].parity.probabilities)
    assert wire.asked == [MODEL, PARITY, BOOSTER]


@pytest.mark.parametrize(
    "model_id",
    ["", " ", "deposit", "deposit-v", "deposit-v0", "deposit-v01", "deposit-v-1", "deposit-v1 ", "deposit-v1\n", "v1",
     "../deposit-v1", "..", "../../etc/passwd", "deposit-v1/../../x", "/deposit-v1", "deposit\x00-v1", "deposit-v1\x00",
     "deposit-v\u0661", "deposit-v\uff11", "d\u00e9posit-v1", "deposit-v1%00", "%2e%2e-v1", "x" * 10_000 + "-v1",
     "deposit-v" + "1" * 5000, "s3://deposit-mlflow/deposit-v1", "\ud800-v1", "deposit-V1", "a-v1;b-v2", "a\\..\\b-v1"],
)  # fmt: skip
def test_what_is_no_id_never_reaches_the_store(service: ModelCache, wire: Wire, model_id: str) -> None:
    refusal = _refused(service, model_id)
    assert refusal.status == 422
    assert len(refusal.problems[0].message) < 200
    assert wire.asked == []


@pytest.mark.parametrize(
    "model_id", ["deposit-v999999999", "deposit-v11", "other-v1", "a..-v1", "a..b-v1", "model.json-v1", "DEPOSIT-v1"]
)
def test_an_unknown_id_never_reaches_the_store(service: ModelCache, wire: Wire, model_id: str) -> None:
    assert _refused(service, model_id).status == 404
    assert wire.asked == []


def test_fifty_first_requests_make_one_download(service: ModelCache, wire: Wire) -> None:
    wire.delay = 0.1
    models = _get(service, *["deposit-v1"] * 50)
    assert len({id(loaded) for loaded in models}) == 1
    assert isinstance(models[0], LoadedModel)
    assert wire.asked == [MODEL, PARITY, BOOSTER]
    assert _get(service, "deposit-v1")[0] is models[0]
    assert len(wire.asked) == 3


def test_the_event_loop_goes_on_while_a_model_is_loaded(service: ModelCache, wire: Wire) -> None:
    wire.delay = 0.2

    async def ask() -> int:
        loading = asyncio.create_task(service.get("deposit-v1"))
        turns = 0
        while not loading.done():
            await service.get(None)
            await asyncio.sleep(0.01)
            turns += 1
        await loading
        return turns

    assert asyncio.run(ask()) > 10


def test_the_models_used_last_are_kept(service: ModelCache, wire: Wire) -> None:
    first, second = _get(service, "deposit-v1", "deposit-v2")
    assert _get(service, "deposit-v1")[0] is first
    _get(service, "deposit-v3")  # v2 has to go
    wire.asked.clear()
    assert _get(service, "deposit-v1")[0] is first
    assert wire.asked == []
    assert _get(service, "deposit-v2")[0] is not second
    assert wire.asked == [MODEL, PARITY, BOOSTER]
    listed = {model["model_id"]: model["loaded"] for model in json.loads(service.listing())["models"]}
    assert sum(listed.values()) == 3
    assert listed["deposit-v3"] is False


def test_a_client_that_goes_away_does_not_take_the_model_along(service: ModelCache, wire: Wire) -> None:
    wire.delay = 0.1

    async def ask() -> LoadedModel:
        first = asyncio.create_task(service.get("deposit-v1"))
        second = asyncio.create_task(service.get("deposit-v1"))
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(ask()).model_id == "deposit-v1"
    assert wire.asked == [MODEL, PARITY, BOOSTER]


def test_a_load_whose_clients_all_went_away_is_not_lost(service: ModelCache, wire: Wire) -> None:
    wire.delay = 0.05

    async def ask() -> LoadedModel:
        gone = asyncio.create_task(service.get("deposit-v1"))
        await asyncio.sleep(0.02)
        gone.cancel()
        await asyncio.sleep(0.5)
        return await service.get("deposit-v1")

    assert asyncio.run(ask()).model_id == "deposit-v1"
    assert len(wire.asked) == 3


def test_a_slow_load_is_not_waited_for_without_end(
    service: ModelCache, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_WAIT_SECONDS", 0.05)
    wire.delay = 0.1

    async def ask() -> LoadedModel:
        with pytest.raises(RequestError) as refusal:
            await service.get("deposit-v1")
        assert refusal.value.status == 503
        await asyncio.sleep(1)
        return await service.get("deposit-v1")

    assert asyncio.run(ask()).model_id == "deposit-v1"
    assert len(wire.asked) == 3


def _spoilt(
    server: dict[str, StoreSettings], known: CatalogModel, folder: Path, name: str, content: bytes | None
) -> CatalogModel:
    """The same model elsewhere, with one file replaced or missing."""
    store, prefix = ObjectStore(server["mlflow"]), f"spoilt/{sha256_of(name.encode() + (content or b''))}"
    _upload(store, known.version, prefix, folder)
    if content is None:
        store.bucket(BUCKET).delete(f"{prefix}/{name}")
    else:
        store.bucket(BUCKET).put(f"{prefix}/{name}", content)
    return CatalogModel(**{**_plain(known), "files": Files(BUCKET, prefix, known.files.sha256)})


def _plain(known: CatalogModel) -> dict[str, Any]:
    return {name: getattr(known, name) for name in known.__struct_fields__}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (BOOSTER, lambda content: content[:-1]),
        (BOOSTER, lambda content: content[: len(content) // 2]),
        (BOOSTER, lambda content: b"\x80\x04cos\nsystem\n(S'true'\ntR."),
        (BOOSTER, lambda _: b""),
        (BOOSTER, lambda _: None),
        (PARITY, lambda content: content + b" "),
        (MODEL, lambda content: content.replace(b'"threshold": 0.3', b'"threshold": 0.2')),
        (MODEL, lambda _: b"[" * 100_000),
        (MODEL, lambda _: None),
    ],
)
def test_files_that_are_not_as_registered_are_refused_before_they_are_read(
    service: ModelCache, settings: Settings, server: dict[str, StoreSettings], registered: dict[int, CatalogModel],
    folders: dict[int, tuple[ModelArtifact, Path]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    name: str, damage: Callable[[bytes], bytes | None],
) -> None:  # fmt: skip
    folder = folders[1][1]
    spoilt = _spoilt(server, registered[1], folder, name, damage((folder / name).read_bytes()))
    _publish(settings, [spoilt])
    monkeypatch.setattr(ModelArtifact, "load", lambda *_, **__: pytest.fail("it was read"))
    refusals = _get(service, *["deposit-v1"] * 5)
    assert {refusal.status for refusal in refusals} == {502}
    assert "do not match the registry" in refusals[0].problems[0].message
    assert BUCKET not in refusals[0].problems[0].message
    loud = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(loud) == 1
    assert name in loud[0].getMessage()


def test_a_refused_model_is_asked_for_again(
    service: ModelCache, settings: Settings, server: dict[str, StoreSettings], registered: dict[int, CatalogModel],
    folders: dict[int, tuple[ModelArtifact, Path]],
) -> None:  # fmt: skip
    spoilt = _spoilt(server, registered[1], folders[1][1], BOOSTER, b"not yet whole")
    _publish(settings, [spoilt])
    assert _refused(service, "deposit-v1").status == 502
    ObjectStore(server["mlflow"]).bucket(BUCKET).upload(folders[1][1] / BOOSTER, f"{spoilt.files.prefix}/{BOOSTER}")
    assert _get(service, "deposit-v1")[0].model_id == "deposit-v1"


def test_a_file_that_is_too_large_is_not_read(service: ModelCache, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_MAX_BYTES", 100)
    assert _refused(service, "deposit-v1").status == 502
    assert wire.asked == [MODEL]


def test_without_the_store_others_answer_and_recovery_needs_no_hand(service: ModelCache, wire: Wire) -> None:
    (kept,) = _get(service, "deposit-v2")
    wire.cut()
    refusals = _get(service, *["deposit-v1"] * 5)
    assert {refusal.status for refusal in refusals} == {503}
    assert refusals[0].headers == ((b"retry-after", b"5"),)
    assert "127.0.0.1" not in refusals[0].problems[0].message
    assert _get(service, None, "deposit-v2") == [service.served, kept]
    wire.open()
    assert _get(service, "deposit-v1")[0].model_id == "deposit-v1"


def test_a_store_that_refuses_the_key_is_as_one_that_is_away(
    settings: Settings, folders: dict[int, tuple[ModelArtifact, Path]]
) -> None:
    changed = settings.changed("store", access_key="nobody")
    assert (
        _refused(ModelCache(LoadedModel.open(folders[SERVED][1], settings.expiry), changed), "deposit-v1").status == 503
    )


def test_the_services_key_reads_models_and_nothing_else(
    server: dict[str, StoreSettings], registered: dict[int, CatalogModel]
) -> None:
    ObjectStore(server["admin"]).data.put("secret", b"x")
    store, key = ObjectStore(server["serving"]), f"{registered[1].files.prefix}/{MODEL}"
    assert store.bucket(BUCKET).get(key)
    for forbidden in (
        lambda: store.bucket(BUCKET).put(key, b"x"),
        lambda: store.bucket(BUCKET).delete(key),
        lambda: store.bucket(BUCKET).put("new", b"x"),
        lambda: store.bucket(BUCKET).keys(),
        lambda: store.data.get("secret"),
        lambda: store.bentos.keys(),
    ):
        with pytest.raises(UpstreamError, match=r"access to deposit-\w+ is denied"):
            forbidden()


def test_the_list_tells_served_previous_and_others_newest_first(service: ModelCache) -> None:
    answer = json.loads(service.listing())
    assert [model["model_id"] for model in answer["models"]] == [
        "deposit-v7", "deposit-v2", "deposit-v4", "deposit-v3", "deposit-v1"
    ]  # fmt: skip
    assert (answer["deposit_value"], answer["call_cost"], answer["capacity"]) == (10.0, 1.0, None)
    assert answer["break_even"] == pytest.approx(0.1)
    served, previous, *_ = answer["models"]
    assert (served["live"], served["loaded"], served["version"], served["metrics"]) == (True, True, 7, {"roc_auc": 0.7})
    assert (served["trained_through"], served["age_months"], served["stale"]) == ("2010-11", 0, False)
    wanted = {"model_id", "version", "created", "dataset", "metrics", "aliases", "threshold", "live", "loaded"}
    assert set(previous) == wanted
    assert (previous["live"], previous["loaded"], previous["aliases"]) == (False, False, ["previous"])
    assert b"m-2" not in service.listing()


def test_what_is_registered_later_is_known_within_a_second(
    service: ModelCache, settings: Settings, registered: dict[int, CatalogModel]
) -> None:
    _publish(settings, [registered[1]])
    service._catalog._next = 0
    assert _refused(service, "deposit-v2").status == 404
    _publish(settings, [registered[1], registered[2]])
    service._catalog._next = 0
    assert _get(service, "deposit-v2")[0].model_id == "deposit-v2"


def test_a_model_that_left_the_registry_is_served_no_longer(
    service: ModelCache, settings: Settings, registered: dict[int, CatalogModel]
) -> None:
    _get(service, "deposit-v1")
    _publish(settings, [registered[2]])
    service._catalog._next = 0
    assert _refused(service, "deposit-v1").status == 404


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"models": [{}]}'])
def test_without_a_sound_catalog_the_served_model_answers(
    settings: Settings, folders: dict[int, tuple[ModelArtifact, Path]], wire: Wire, content: bytes | None
) -> None:
    settings.catalog_path.unlink()
    if content is not None:
        settings.catalog_path.write_bytes(content)
    service = ModelCache(LoadedModel.open(folders[SERVED][1], settings.expiry), settings)
    assert _get(service, None, "deposit-v7") == [service.served, service.served]
    assert _refused(service, "deposit-v1").status == 404
    assert [model["model_id"] for model in json.loads(service.listing())["models"]] == ["deposit-v7"]
    assert wire.asked == []


def test_a_damaged_catalog_changes_nothing(service: ModelCache, settings: Settings) -> None:
    _get(service, "deposit-v1")
    settings.catalog_path.write_bytes(b"{")
    service._catalog._next = 0
    assert _get(service, "deposit-v2")[0].model_id == "deposit-v2"
