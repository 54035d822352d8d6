"""The model registry with write access: register versions and promote champions, with MLflow's library."""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import ConfigError
from deposit.model.artifact import ModelArtifact
from deposit.registry import tracking
from deposit.registry.model_files import RegisteredModels, model_folder
from deposit.registry.tags import Tag
from deposit.registry.versions import CHAMPION, PREVIOUS, Version
from deposit.settings import load_settings
from deposit.store import Bucket, ObjectStore

_IDS = "models/"
"""Prefix of the objects that reserve model ids."""


@dataclass(frozen=True)
class ArtifactLocation:
    """Artifact URI of a version's files, the sha256 of its model.json, and the model's threshold."""

    uri: str
    sha256: str
    threshold: float | None


class ModelRegistry(RegisteredModels):
    """The registered model named in the settings. Create one for a whole command: it connects to MLflow on first use.

    Every method raises UpstreamError if MLflow does not answer.
    """

    @cached_property
    def client(self) -> MlflowClient:
        """The MLflow client, created on first use."""
        return tracking.connect(self._settings.mlflow.tracking_uri)

    @cached_property
    def _bucket(self) -> Bucket:
        return ObjectStore(self._settings.store).data

    @contextmanager
    def errors(self) -> Iterator[MlflowClient]:
        """The client, in a block that turns MLflow's errors into UpstreamError."""
        with tracking.mlflow_errors(self.client):
            yield self.client

    def resolve_artifact(self, version: Version) -> ArtifactLocation:
        """Location and digest of a version's files. Raises IntegrityError if MLflow no longer has the model."""
        model = self.logged_model(version)
        with self.errors() as client:
            run = tracking.find_run(client, version.run_id)
            threshold = run.data.params.get("threshold") if run else None
        folder = model_folder(self._settings.mlflow.tracking_uri, model)
        return ArtifactLocation(folder, model.sha256, None if threshold is None else float(threshold))

    def set_champion(self, version: Version, before: Version | None) -> None:
        """Make a version champion, and the champion before it `previous`."""
        with self.errors() as client:
            if before is not None:
                client.set_registered_model_alias(self.name, PREVIOUS, str(before.version))
            client.set_registered_model_alias(self.name, CHAMPION, str(version.version))
            client.set_registered_model_tag(self.name, Tag.CHAMPION, version.model_id)

    def tags_of(self, version: Version) -> Mapping[str, str]:
        """Tags of a version in MLflow."""
        with self.errors() as client:
            return dict(client.get_model_version(self.name, str(version.version)).tags)

    def set_tags(self, version: Version, tags: Mapping[Tag, str]) -> None:
        """Set tags of a version, in order."""
        with self.errors() as client:
            for name, value in tags.items():
                client.set_model_version_tag(self.name, str(version.version), name, value)

    def register(self, run: Run) -> Version:
        """Register the model of a training run, unless it is registered already; returns its version."""
        with self.errors() as client:
            registered = self.versions()
            present = next((version for version in registered if version.run_id == run.info.run_id), None)
            if present:
                return present
            taken = set(self._bucket.keys(_IDS))
            for version in registered:
                if f"{_IDS}{version.model_id}" not in taken:  # registered before ids were reserved
                    self._take_id(version.model_id, version.run_id)
            try:
                client.create_registered_model(
                    self.name, description="Probability that a called customer takes a term deposit."
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            model = self._create_version(run)
            metrics = {key: each for key, each in run.data.metrics.items() if not key.startswith(tracking.EARLIER)}
            tags = {
                Tag.DATASET: run.data.tags[Tag.DATASET],
                Tag.METRICS: json.dumps(metrics),
                Tag.MODEL_SHA256: run.data.tags[Tag.MODEL_SHA256],
            }
            for key, value in tags.items():
                client.set_model_version_tag(self.name, model.version, key, value)
            return self.by_id(self._model_id(model))

    def _create_version(self, run: Run) -> ModelVersion:
        """Create a version with an id that was never used before; until its tags are set, it is ignored."""
        logged = tracking.logged_model(run)
        description = f"{run.info.run_name} on {run.data.tags[Tag.DATASET]}"
        while True:
            model = self.client.create_model_version(
                self.name, logged.uri, run.info.run_id, description=description, model_id=logged.mlflow_id
            )
            if self._take_id(self._model_id(model), run.info.run_id):
                return model
            self.client.delete_model_version(self.name, model.version)

    def _model_id(self, model: ModelVersion) -> str:
        return f"{self.name}-v{model.version}"

    def _take_id(self, model_id: str, run_id: str) -> bool:
        """Reserve a model id for good; False if it was reserved before."""
        return self._bucket.put_if_absent(f"{_IDS}{model_id}", run_id.encode())


@lru_cache(maxsize=2)
def load_model(model_id: str, sha256: str) -> ModelArtifact:
    """Load a model by id in a worker of a Dask cluster, with the worker's own settings; cached per process.

    Raises ConfigError if the worker's MLflow has a different model with this id.
    """
    settings = load_settings().changed("train", threads=1)
    registry = ModelRegistry(settings)
    version = registry.by_id(model_id)
    if registry.resolve_artifact(version).sha256 != sha256:
        raise ConfigError(
            f"the Dask worker {platform.node()} knows another model as {model_id}: give it the same "
            f"DEPOSIT_MLFLOW__TRACKING_URI as the command that asks it, not {settings.mlflow.tracking_uri}"
        )
    return registry.load(version)
