"""The catalog from a real MLflow with its artifacts in a real object store: what it says is what a service loads."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflowserver import mlflow_server

from deposit.errors import ConfigError, UpstreamError
from deposit.model.artifact import ModelArtifact
from deposit.registry import tracking
from deposit.registry.catalog import parse_catalog
from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import Tag
from deposit.registry.versions import Version
from deposit.release.catalog_publisher import keep_catalog, object_place, write_catalog
from deposit.sections import MlflowSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import mlflow_logging
from serving.documents import catalog_document
from serving.models import Fetcher

pytestmark = [
    pytest.mark.servers,
    # MLflow's client leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def tracking_uri(
    tmp_path_factory: pytest.TempPathFactory, object_store: StoreSettings, free_ports: Callable[[int], int]
) -> Iterator[str]:
    """MLflow with its artifacts in the object store, as the stack runs it."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    assert object_store.secret_key
    environment = {
        "PATH": "/usr/bin:/bin", "MLFLOW_S3_ENDPOINT_URL": str(object_store.endpoint_url),
        "AWS_ACCESS_KEY_ID": str(object_store.access_key), "AWS_DEFAULT_REGION": object_store.region,
        "AWS_SECRET_ACCESS_KEY": object_store.secret_key.get_secret_value(), "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    backend, artifacts = f"sqlite:///{folder}/mlflow.db", f"s3://{object_store.mlflow_bucket}"
    with mlflow_server(port, folder / "log", backend, artifacts, environment) as uri:
        yield uri


@pytest.fixture
def settings(tracking_uri: str, object_store: StoreSettings, tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, store=object_store, mlflow=MlflowSettings(tracking_uri=tracking_uri))


@pytest.fixture(scope="module")
def model(make_model: Callable[..., ModelArtifact], tmp_path_factory: pytest.TempPathFactory) -> ModelArtifact:
    return make_model(tmp_path_factory.mktemp("model"))


def _register(settings: Settings, model: ModelArtifact) -> Version:
    client = tracking.connect(settings.mlflow.tracking_uri)
    run_id = mlflow_logging.start(
        client, tracking.open_experiment(client, "test").experiment_id, "a run", {"deposit.dataset": "d1"}
    )
    mlflow_logging.log_values(
        client, run_id, {"roc_auc": 0.7, "validation_roc_auc": 0.6}, {"threshold": model.threshold}
    )
    mlflow_logging._log_model(client, run_id, model)
    return ModelRegistry(settings).register(client.get_run(run_id))


def test_the_catalog_is_an_object_too_where_that_is_asked_for(settings: Settings) -> None:
    bucket = ObjectStore(settings.store).bentos
    settings = settings.changed("serve", catalog_uri=bucket.uri("catalog.json"))
    for _ in range(2):
        write_catalog(settings)
        assert bucket.get("catalog.json") == settings.catalog_path.read_bytes()
        assert catalog_document(settings.serve, settings.store, settings.catalog_path).read(None) is not None
        bucket.delete("catalog.json")  # the next look puts it there again, though the registry says the same


def test_what_the_catalog_says_is_what_a_service_loads(settings: Settings, model: ModelArtifact) -> None:
    assert write_catalog(settings) == []
    assert parse_catalog(settings.catalog_path.read_bytes()).models == ()
    version = _register(settings, model)
    client = tracking.connect(settings.mlflow.tracking_uri)
    client.set_registered_model_alias("deposit", "champion", "1")
    uri = client.get_run(version.run_id).data.tags[Tag.MODEL_URI]
    client.create_model_version("deposit", uri, version.run_id, model_id=uri.removeprefix("models:/"))  # by hand
    assert write_catalog(settings) == []
    (listed,) = parse_catalog(settings.catalog_path.read_bytes()).models
    assert (listed.model_id, listed.version, listed.created) == ("deposit-v1", 1, version.created)
    assert (listed.dataset, listed.metrics, listed.aliases) == ("d1", {"roc_auc": 0.7}, ("champion",))
    assert listed.threshold == model.threshold
    loaded = Fetcher(settings.store).fetch(listed.files)
    matrix = loaded.encoder.encode_rows(model.parity.rows)
    assert loaded.probabilities(matrix).tolist() == list(model.parity.probabilities)

    before = settings.catalog_path.stat()
    write_catalog(settings)
    assert settings.catalog_path.stat().st_ino == before.st_ino  # the same content is not written again
    client.delete_registered_model_alias("deposit", "champion")
    settings.catalog_path.write_bytes(settings.catalog_path.read_bytes()[:-20])
    write_catalog(settings)
    (again,) = parse_catalog(settings.catalog_path.read_bytes()).models
    assert (again.files, again.aliases) == (listed.files, ())

    away = settings.model_copy(update={"mlflow": MlflowSettings(tracking_uri="http://127.0.0.1:9")})
    with pytest.raises(UpstreamError):
        write_catalog(away)
    assert len(parse_catalog(settings.catalog_path.read_bytes()).models) == 1

    client.delete_logged_model(uri.removeprefix("models:/"))
    settings.catalog_path.unlink()
    (reason,) = write_catalog(settings)
    assert "deposit-v1" in reason
    assert parse_catalog(settings.catalog_path.read_bytes()).models == ()


def test_a_registry_that_is_away_is_reported_once_and_the_file_stays(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deposit.release.catalog_publisher._EVERY_SECONDS", 0.05)
    away = settings.model_copy(update={"mlflow": MlflowSettings(tracking_uri="http://127.0.0.1:9")})
    settings.catalog_path.write_bytes(b"as it was")
    stop, again = threading.Event(), threading.Event()
    keeper = threading.Thread(target=keep_catalog, args=(away, stop, again))
    keeper.start()
    time.sleep(1)
    stop.set()
    again.set()
    keeper.join(10)
    assert not keeper.is_alive()
    assert [record.levelno for record in caplog.records if record.name == "deposit.releaser"] == [logging.WARNING]
    assert settings.catalog_path.read_bytes() == b"as it was"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (
            "mlflow-artifacts:/1/models/m-1/artifacts/artifacts/artifact",
            ("mb", "1/models/m-1/artifacts/artifacts/artifact"),
        ),
        ("mlflow-artifacts://host:5000/1/models/m-1", ("mb", "1/models/m-1")),
        ("s3://other/some/prefix/", ("other", "some/prefix")),
    ],
)
def test_places_by_uri(uri: str, place: tuple[str, str]) -> None:
    assert object_place(uri, "mb") == place


def test_a_place_that_is_no_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match="file:///"):
        object_place("file:///tmp/models", "mb")
