"""The model registry: versions, their ids `<name>-v<version>`, the champion, and their files."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import DataError, GateError
from deposit.model.artifact import ModelArtifact
from deposit.registry import tracking
from deposit.registry.tags import Tag
from deposit.registry.tracking import LoggedModel
from deposit.settings import Settings
from deposit.store import ObjectStore

CHAMPION, PREVIOUS = "champion", "previous"
_IDS = "models/"
"""Prefix of the objects that keep an id taken."""


@dataclass(frozen=True)
class Version:
    """A registered model; `created` in UTC and ISO form, `metrics` what could be computed of its scored months."""

    model_id: str
    version: int
    run_id: str
    created: str
    dataset: str
    metrics: Mapping[str, float]
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class ArtifactLocation:
    """The folder of a version's files as MLflow names it, the sha256 of its model.json, and the model's threshold."""

    uri: str
    sha256: str
    threshold: float | None


class ModelRegistry:
    """The registered model of the settings; one for a whole command, since it connects to MLflow once, when first used.

    Each method raises UpstreamError if MLflow does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.name = settings.mlflow.model_name
        self._settings = settings

    @cached_property
    def client(self) -> MlflowClient:
        """The one client."""
        return tracking.connect(self._settings.mlflow.tracking_uri)

    @contextmanager
    def errors(self) -> Iterator[MlflowClient]:
        """The client, with MLflow's errors within as UpstreamError."""
        with tracking.mlflow_errors(self.client):
            yield self.client

    def champion(self) -> Version | None:
        """The version with the alias `champion`; None if there never was one, or no version is left.

        Raises GateError if somebody has deleted the alias or its version: a person must decide who is champion now.
        """
        versions = self.versions()
        champion = _champion_of(versions)
        if champion is None and versions:
            self._refuse_vacancy(versions)
        return champion

    def alias_holder(self) -> Version | None:
        """The version with the alias `champion`, if any has it now."""
        return _champion_of(self.versions())

    def versions(self) -> list[Version]:
        """All registered versions, oldest first."""
        with self.errors():
            return [_version_of(model, aliases) for model, aliases in self._registered()]

    def by_id(self, model_id: str) -> Version:
        """The version of an id like `deposit-v7`. Raises DataError if there is none."""
        match = re.fullmatch(rf"{re.escape(self.name)}-v([1-9]\d{{0,8}})", model_id)
        if match is None:
            raise DataError(f"{model_id!r} is not a model id: it must look like {self.name}-v7")
        number = int(match.group(1))
        version = next((version for version in self.versions() if version.version == number), None)
        if version is None:
            raise DataError(f"there is no model {model_id}: `deposit models` lists what there is")
        return version

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's files into a folder, each checked against its recorded sha256. Raises IntegrityError."""
        with self.errors() as client:
            return tracking.fetch_model(client, self._logged_model(version), folder)

    def load(self, version: Version) -> ModelArtifact:
        """A version's model, fetched and checked. Raises IntegrityError."""
        with TemporaryDirectory() as folder:
            return ModelArtifact.load(self.download(version, Path(folder)), self._settings.train.threads)

    def resolve_artifact(self, version: Version) -> ArtifactLocation:
        """Where a version's files are, and what they must be. Raises IntegrityError if MLflow no longer has them."""
        with self.errors() as client:
            model, run = self._logged_model(version), tracking.find_run(client, version.run_id)
            threshold = run.data.params.get("threshold") if run else None
            return ArtifactLocation(
                tracking.model_folder(client, model), model.sha256, None if threshold is None else float(threshold)
            )

    def set_champion(self, version: Version, before: Version | None) -> None:
        """Make a version the champion, and the one before it `previous`."""
        with self.errors() as client:
            if before is not None:
                client.set_registered_model_alias(self.name, PREVIOUS, str(before.version))
            client.set_registered_model_alias(self.name, CHAMPION, str(version.version))
            client.set_registered_model_tag(self.name, Tag.CHAMPION, version.model_id)

    def tags_of(self, version: Version) -> Mapping[str, str]:
        """A version's tags in MLflow."""
        with self.errors() as client:
            return dict(client.get_model_version(self.name, str(version.version)).tags)

    def set_tags(self, version: Version, tags: Mapping[Tag, str]) -> None:
        """Set tags of a version, one after the other."""
        with self.errors() as client:
            for name, value in tags.items():
                client.set_model_version_tag(self.name, str(version.version), name, value)

    def register(self, run: Run) -> Version:
        """The version of a training's run; a run is registered once, unless its version was deleted."""
        with self.errors() as client:
            registered = self._registered()
            present = next((pair for pair in registered if pair[0].run_id == run.info.run_id), None)
            if present:
                return _version_of(*present)
            for model, _ in registered:  # those that were registered before ids were kept
                self._take_id(model)
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
            return _version_of(client.get_model_version(self.name, model.version), ())

    def _registered(self) -> list[tuple[ModelVersion, tuple[str, ...]]]:
        """Versions with their aliases, oldest first; none if the model was never registered."""
        try:
            aliases: Mapping[str, object] = self.client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if tracking.is_absent(error):
                return []
            raise
        models: list[ModelVersion] = []
        token: str | None = None
        while token != "":
            page = self.client.search_model_versions(f"name = '{self.name}'", max_results=1000, page_token=token)
            models += page
            token = page.token or ""
        # what somebody registered manually cannot be checked, and is none of ours
        ours = [model for model in models if {Tag.DATASET, Tag.METRICS, Tag.MODEL_SHA256} <= model.tags.keys()]
        ordered = sorted(ours, key=lambda model: int(model.version))
        return [
            (model, tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(model.version))))
            for model in ordered
        ]

    def _refuse_vacancy(self, versions: Sequence[Version]) -> None:
        """Raise GateError if there was a champion."""
        with self.errors() as client:
            last = client.get_registered_model(self.name).tags.get(Tag.CHAMPION)
        if last is None:
            return
        if any(version.model_id == last for version in versions):
            raise GateError(
                f"no model is champion any more: the alias of {last} was deleted in MLflow; `deposit promote {last}` "
                "gives it back, and `deposit promote` can give it to any other of `deposit models`"
            )
        raise GateError(
            f"no model is champion any more: {last} was deleted in MLflow; `deposit models` lists those that are left, "
            "and `deposit promote` makes one of them champion, as "
            f"`deposit promote {versions[-1].model_id}` the newest"
        )

    def _logged_model(self, version: Version) -> LoggedModel:
        model = self.client.get_model_version(self.name, str(version.version))
        return LoggedModel(str(model.source), model.tags[Tag.MODEL_SHA256], version.model_id)

    def _create_version(self, run: Run) -> ModelVersion:
        """A version with an id that was never given before; without its tags it is not yet one of ours."""
        logged = tracking.logged_model(run)
        description = f"{run.info.run_name} on {run.data.tags[Tag.DATASET]}"
        while True:
            model = self.client.create_model_version(
                self.name, logged.uri, run.info.run_id, description=description, model_id=logged.mlflow_id
            )
            if self._take_id(model):
                return model
            self.client.delete_model_version(self.name, model.version)

    def _take_id(self, model: ModelVersion) -> bool:
        """Take a version's id for ever; False if it was given before."""
        key = f"{_IDS}{_model_id(model)}"
        return ObjectStore(self._settings.store).data.put_if_absent(key, str(model.run_id).encode())


def _champion_of(versions: Sequence[Version]) -> Version | None:
    return next((version for version in versions if CHAMPION in version.aliases), None)


def _version_of(model: ModelVersion, aliases: tuple[str, ...]) -> Version:
    created = datetime.fromtimestamp(model.creation_timestamp / 1000, UTC)
    return Version(
        model_id=_model_id(model),
        version=int(model.version),
        run_id=str(model.run_id),
        created=created.isoformat(timespec="seconds"),
        dataset=model.tags[Tag.DATASET],
        metrics=json.loads(model.tags[Tag.METRICS]),
        aliases=aliases,
    )


def _model_id(model: ModelVersion) -> str:
    return f"{model.name}-v{model.version}"
