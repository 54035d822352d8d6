"""The catalog file: a copy of MLflow's registry for services, which have no access to MLflow."""

import logging
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from deposit.errors import DataError, DepositError, IntegrityError
from deposit.files import replace_file
from deposit.progress import OnChange
from deposit.registry.catalog import Catalog, CatalogModel, Files, encode_catalog, parse_catalog
from deposit.settings import Settings
from deposit.store import ObjectStore, split_uri

if TYPE_CHECKING:
    from deposit.registry.registry import ArtifactLocation
    from deposit.registry.versions import Version

logger = logging.getLogger("deposit.releaser")

_EVERY_SECONDS = 30.0
_PROXIED = "mlflow-artifacts:/"


def keep_catalog(settings: Settings, stop: Event, again: Event) -> None:
    """Write the catalog every 30 s, and whenever `again` is set, until `stop` is set. An outage is logged once.

    Runs in its own thread: MLflow may be slow, and the live release must be watched meanwhile.
    """
    log = OnChange(partial(logger.warning, "%s"))
    while not stop.is_set():
        again.clear()
        message = ""
        try:
            message = "; ".join(write_catalog(settings))
        except (DepositError, OSError) as error:
            message = f"the catalog of models is not updated: {error}"
        except Exception:  # services continue with the old file, and the next attempt may succeed
            logger.exception("the catalog of models is not updated")
        log(message)
        again.wait(_EVERY_SECONDS)


def write_catalog(settings: Settings) -> list[str]:
    """Write the catalog to its file if it has changed, and to an object if `DEPOSIT_SERVE__CATALOG_URI` is set.

    Returns a message for each version that had to be left out. Raises UpstreamError, and then does not write.
    """
    from deposit.registry.registry import ModelRegistry  # MLflow takes two seconds to import

    path = settings.catalog_path
    before = _written(path)
    listed, left_out = [], []
    registry = ModelRegistry(settings)
    for version in registry.versions():
        known = next((model for model in before.models if _same(model, version)), None)
        try:
            listed.append(
                _model(version, known.files, known.threshold)
                if known
                else _new(settings.store.mlflow_bucket, version, registry.resolve_artifact(version))
            )
        except DataError as error:
            left_out.append(f"{version.model_id} is left out of the catalog of models: {error}")
    catalog = Catalog(tuple(listed))
    if catalog != before or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, encode_catalog(catalog))
    if settings.serve.catalog_uri:
        _publish(ObjectStore(settings.store), settings.serve.catalog_uri, encode_catalog(catalog))
    return left_out


def _publish(store: ObjectStore, uri: str, content: bytes) -> None:
    """Write the object if it has changed, for services that do not share a file system with the releaser."""
    name, key = split_uri(uri)
    bucket = store.bucket(name)
    if not (bucket.exists(key) and bucket.get(key) == content):
        bucket.put(key, content, "application/json")


def _written(path: Path) -> Catalog:
    """Read the current file; an empty catalog if it is missing or damaged, since it is about to be written again."""
    try:
        return parse_catalog(path.read_bytes())
    except (FileNotFoundError, IntegrityError):
        return Catalog()


def _same(model: CatalogModel, version: "Version") -> bool:
    """Whether a catalog entry is of this version. Versions never change, but a new registry starts at 1 again."""
    return (model.model_id, model.created, model.dataset) == (version.model_id, version.created, version.dataset)


def _new(mlflow_bucket: str, version: "Version", located: "ArtifactLocation") -> CatalogModel:
    bucket, prefix = object_place(located.uri, mlflow_bucket)
    return _model(version, Files(bucket, prefix, located.sha256), located.threshold)


def _model(version: "Version", files: Files, threshold: float | None) -> CatalogModel:
    return CatalogModel(
        model_id=version.model_id,
        version=version.version,
        created=version.created,
        dataset=version.dataset,
        metrics=dict(version.metrics),
        aliases=version.aliases,
        files=files,
        threshold=threshold,
    )


def object_place(uri: str, mlflow_bucket: str) -> tuple[str, str]:
    """Return bucket and key prefix of an artifact URI: `s3://…`, or `mlflow-artifacts:/…` if MLflow proxies them.

    The latter may include MLflow's host, and is relative to the root of its bucket. Raises ConfigError for other URIs.
    """
    if uri.startswith(_PROXIED):
        rest = uri.removeprefix(_PROXIED)
        path = rest.partition("/")[2].partition("/")[2] if rest.startswith("/") else rest
        return mlflow_bucket, path.strip("/")
    bucket, key = split_uri(uri)
    return bucket, key.strip("/")
