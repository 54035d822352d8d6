"""The catalog file: what MLflow's registry knows, written down for services, which know neither MLflow nor its key."""

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
    """Write the catalog every 30 s, and whenever `again` is set, until `stop` is; what is down is logged once.

    For a thread of its own: MLflow may take its time, and what serves must be watched meanwhile.
    """
    log = OnChange(partial(logger.warning, "%s"))
    while not stop.is_set():
        again.clear()
        message = ""
        try:
            message = "; ".join(write_catalog(settings))
        except (DepositError, OSError) as error:
            message = f"the catalog of models stays as it is: {error}"
        except Exception:  # whatever it is, the next try may do better, and services go on with the old file
            logger.exception("the catalog of models stays as it is")
        log(message)
        again.wait(_EVERY_SECONDS)


def write_catalog(settings: Settings) -> list[str]:
    """Write the catalog if it is not what the registry says, as a file and where asked for as an object.

    Gives the reasons why versions had to be left out. Raises UpstreamError, and then leaves the file alone.
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
    """Write the object, for services that see no file of the releaser's, if it is not the same already."""
    name, key = split_uri(uri)
    bucket = store.bucket(name)
    if not (bucket.exists(key) and bucket.get(key) == content):
        bucket.put(key, content, "application/json")


def _written(path: Path) -> Catalog:
    """What the file says now; nothing if it is missing or damaged, for it is about to be made anew."""
    try:
        return parse_catalog(path.read_bytes())
    except (FileNotFoundError, IntegrityError):
        return Catalog()


def _same(model: CatalogModel, version: "Version") -> bool:
    """A version never changes; another under its id is of a registry that knows nothing of the ids given before."""
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
    """Bucket and key prefix of an artifact folder, `s3://…` or what MLflow serves itself: `mlflow-artifacts:/…`.

    The latter may name MLflow's host and counts from the root of its bucket. Raises ConfigError for any other place.
    """
    if uri.startswith(_PROXIED):
        rest = uri.removeprefix(_PROXIED)
        path = rest.partition("/")[2].partition("/")[2] if rest.startswith("/") else rest
        return mlflow_bucket, path.strip("/")
    bucket, key = split_uri(uri)
    return bucket, key.strip("/")
