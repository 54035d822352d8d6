"""Models by id: the baked-in model immediately, any other registered model from the object store."""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec

from deposit.data.period import month_number
from deposit.errors import ConfigError, DataError, IntegrityError, UpstreamError
from deposit.model.artifact import BOOSTER, MODEL, PARITY, ModelArtifact, sha256_of
from deposit.model.expiry import Expiry
from deposit.registry.catalog import CatalogModel, Files, parse_catalog
from deposit.sections import ExpirySettings, StoreSettings
from deposit.settings import Settings
from serving.documents import Reloading, catalog_document
from serving.problems import http_error
from serving.request_schemas import encode

logger = logging.getLogger("deposit.serving")

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}-v[1-9][0-9]{0,8}")
_PREVIOUS = "previous"
_LATER = ((b"retry-after", b"5"),)
_LOADS = 4
"""Maximum number of models that are loaded from the object store at the same time."""
_WAIT_SECONDS = 30.0
"""Maximum time a request waits for its model; loading continues for later requests."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is ready to score.

    Args:
        release: metadata of the model: version, created, dataset, metrics.
        card: model card as HTML; None for models trained before cards existed and for models that are not baked in.
    """

    model_id: str
    artifact: ModelArtifact = field(repr=False)
    release: Mapping[str, Any] = field(repr=False)
    expiry: Expiry
    card: bytes | None = field(repr=False, default=None)

    @classmethod
    def open(cls, folder: Path, limits: ExpirySettings) -> "LoadedModel":
        """Load the baked-in model from its folder in the Bento. Raises IntegrityError."""
        release, artifact = json.loads((folder / "release.json").read_text()), ModelArtifact.load(folder, threads=1)
        card = folder / "card.html"
        content = card.read_bytes() if card.exists() else None
        return cls(release["model_id"], artifact, release, Expiry.of(artifact.metadata, limits), content)

    def is_stale(self, event_time: int) -> bool:
        """Return whether the model is too old for a request with this event time, in µs since the epoch."""
        return self.expiry.is_stale(month_number(datetime.fromtimestamp(event_time // 1_000_000, UTC)))


class ModelCache:
    """The served model, and an LRU cache of at most `models_kept` other models.

    Args:
        served: the baked-in model.
        settings: catalog, object store (its key only needs read access to MLflow's bucket), cache size, and the
            economics that `listing` shows.
    """

    def __init__(self, served: LoadedModel, settings: Settings) -> None:
        self.served = served
        economics = settings.economics
        self._economics = {**economics.model_dump(), "break_even": economics.call_cost / economics.deposit_value}
        self._limits = settings.expiry
        self._room = settings.serve.models_kept
        catalog = catalog_document(settings.serve, settings.store, settings.catalog_path)
        self._catalog = Reloading(catalog, _by_id, partial(logger.warning, "models by id: %s"))
        self._fetcher = Fetcher(settings.store)
        self._threads = ThreadPoolExecutor(max_workers=_LOADS, thread_name_prefix="model")
        # keyed by location and sha256, so that a model that was registered again is loaded again
        self._kept: OrderedDict[Files, LoadedModel] = OrderedDict()
        self._loading: dict[Files, asyncio.Task[LoadedModel]] = {}

    async def get(self, model_id: str | None) -> LoadedModel:
        """Return the served model immediately, or load the registered model with that id.

        Raises RequestError: 422 if it is not an id, 404 if it is not registered (both without contacting the object
        store), 502 if its files do not match the registered digests, 503 if the object store is unavailable.
        """
        if model_id is None or model_id == self.served.model_id:
            return self.served
        model = self._registered(model_id)
        kept = self._kept.get(model.files)
        if kept is not None:
            self._kept.move_to_end(model.files)
            return kept
        loading = self._loading.get(model.files)
        if loading is None:
            loading = self._loading[model.files] = asyncio.create_task(self._load(model))
            loading.add_done_callback(partial(self._on_loaded, model.files))
        try:
            # shielded, so that a client that disconnects does not cancel the load for other waiting requests
            return await asyncio.wait_for(asyncio.shield(loading), _WAIT_SECONDS)
        except TimeoutError as error:
            raise http_error(
                503, f"model {model_id} is still being loaded; try again", "model", headers=_LATER
            ) from error

    def listing(self) -> bytes:
        """Return the response to `GET /models`: the served model, the previous one, then the others, newest first."""
        registered, month = self._catalog.value() or {}, month_number(datetime.now(UTC))
        served = registered.get(self.served.model_id)
        first = {
            **self.served.release,
            "aliases": served.aliases if served else (),
            "threshold": self.served.artifact.threshold,
            "trained_through": self.served.artifact.metadata.train_end,
            "age_months": self.served.expiry.age(month),
            "stale": self.served.expiry.is_stale(month),
            "live": True,
            "loaded": True,
        }
        others = sorted(
            (model for model in registered.values() if model is not served),
            key=lambda model: (_PREVIOUS in model.aliases, model.version),
            reverse=True,
        )
        listed = [
            {**_facts(model), "threshold": model.threshold, "live": False, "loaded": model.files in self._kept}
            for model in others
        ]
        return encode({"models": [first, *listed], **self._economics})

    def _registered(self, model_id: str) -> CatalogModel:
        if not _MODEL_ID.fullmatch(model_id):
            raise http_error(422, "must be a model id like deposit-v7", "model")
        model = (self._catalog.value() or {}).get(model_id)
        if model is None:
            raise http_error(404, f"there is no model {model_id}; GET /models lists the registered ones", "model")
        return model

    async def _load(self, model: CatalogModel) -> LoadedModel:
        loop = asyncio.get_running_loop()
        try:
            artifact = await loop.run_in_executor(self._threads, self._fetcher.fetch, model.files)
        except (UpstreamError, ConfigError) as error:
            logger.warning("model %s cannot be loaded now: %s", model.model_id, error)
            message = f"model {model.model_id} cannot be loaded now: the object store is unavailable; try again"
            raise http_error(503, message, "model", headers=_LATER) from error
        except DataError as error:
            logger.critical("MODEL %s IS REJECTED: %s", model.model_id, error)
            message = f"model {model.model_id} is rejected: its files do not match the registry; tell the operator"
            raise http_error(502, message, "model") from error
        logger.warning("loaded model %s from the object store", model.model_id)
        return LoadedModel(model.model_id, artifact, _facts(model), Expiry.of(artifact.metadata, self._limits))

    def _on_loaded(self, files: Files, loading: "asyncio.Task[LoadedModel]") -> None:
        del self._loading[files]
        # reading the exception also marks it as retrieved for asyncio, in case no request is waiting any more
        if loading.cancelled() or loading.exception() is not None:
            return
        self._kept[files] = loading.result()
        if len(self._kept) > self._room:
            self._kept.popitem(last=False)


def _by_id(content: bytes) -> dict[str, CatalogModel]:
    return {model.model_id: model for model in parse_catalog(content).models}


def _facts(model: CatalogModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ("model_id", "version", "created", "dataset", "metrics", "aliases")}


if TYPE_CHECKING:
    from deposit.store import ObjectStore

_MAX_BYTES = 128 * 2**20
"""Maximum size of a model file."""
_CONNECT_SECONDS, _READ_SECONDS, _RETRIES = 2.0, 10.0, 1


class _Digests(msgspec.Struct):
    """The digests that model.json lists for the other files of a model."""

    sha256: dict[str, str]


class Fetcher:
    """Loads models from the object store; thread-safe."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._store: ObjectStore | None = None

    def fetch(self, files: Files) -> ModelArtifact:
        """Download a model and verify it against its registered sha256.

        Raises IntegrityError, SourceError, UpstreamError.
        """
        try:
            with TemporaryDirectory(prefix="deposit-model-") as folder:
                self._download(files, Path(folder))
                return ModelArtifact.load(Path(folder), threads=1)
        except OSError as error:
            raise UpstreamError(
                f"cannot store the files of a model temporarily: {error}; free some disk space"
            ) from error

    def _download(self, files: Files, folder: Path) -> None:
        content = self._checked(files, MODEL, files.sha256)
        try:
            digests = msgspec.json.decode(content, type=_Digests).sha256
        except msgspec.DecodeError as error:
            raise IntegrityError(f"{files.prefix}/{MODEL} does not list its files: {error}") from error
        (folder / MODEL).write_bytes(content)
        for name in (PARITY, BOOSTER):
            if name in digests:
                (folder / name).write_bytes(self._checked(files, name, digests[name]))

    def _checked(self, files: Files, name: str, expected: str) -> bytes:
        key = f"{files.prefix}/{name}"
        content = self._connected().bucket(files.bucket).get(key, _MAX_BYTES)
        actual = sha256_of(content)
        if actual != expected:
            raise IntegrityError(
                f"s3://{files.bucket}/{key} has sha256 {actual}, but {expected} is registered: restore it or retrain"
            )
        return content

    def _connected(self) -> "ObjectStore":
        # imported here because boto3 takes half a second and 30 MB, and most services never load another model
        with self._lock:
            if self._store is None:
                from deposit.store import ObjectStore

                self._store = ObjectStore(self._settings, _CONNECT_SECONDS, _READ_SECONDS, _RETRIES)
            return self._store
