"""The model registry: versions, their ids `<name>-v<version>`, the champion, and their files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import DataError, IntegrityError
from deposit.model import tracking
from deposit.model.artifact import MODEL, ModelArtifact, sha256_of
from deposit.settings import Settings

CHAMPION, PREVIOUS = "champion", "previous"
_DATASET, _METRICS = "deposit.dataset", "deposit.metrics"


@dataclass(frozen=True)
class Version:
    """A registered model; `created` in UTC and ISO form, `metrics` what could be computed of its own test window."""

    model_id: str
    version: int
    run_id: str
    created: str
    dataset: str
    metrics: Mapping[str, float]
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Located:
    """The folder of a version's files as MLflow names it, the sha256 of its model.json, and the model's threshold."""

    uri: str
    sha256: str
    threshold: float | None


def champion(settings: Settings) -> Version | None:
    """The version with the alias `champion`, if there is one."""
    return next((version for version in versions(settings) if CHAMPION in version.aliases), None)


def versions(settings: Settings) -> list[Version]:
    """All registered versions, oldest first. Raises UpstreamError."""
    client = tracking.connect(settings)
    with tracking.translated(settings):
        return [_version(model, aliases) for model, aliases in _registered(client, settings.mlflow.model_name)]


def by_id(settings: Settings, model_id: str) -> Version:
    """The version of an id like `deposit-v7`. Raises DataError if there is none."""
    number = parse_model_id(settings, model_id)
    found = next((version for version in versions(settings) if version.version == number), None)
    if found is None:
        raise DataError(f"there is no model {model_id}: `deposit models` lists what there is")
    return found


def parse_model_id(settings: Settings, model_id: str) -> int:
    """The version number in a model id. Raises DataError for anything else."""
    name = settings.mlflow.model_name
    match = re.fullmatch(rf"{re.escape(name)}-v([1-9]\d{{0,8}})", model_id)
    if match is None:
        raise DataError(f"{model_id!r} is not a model id: it must look like {name}-v7")
    return int(match.group(1))


def download(settings: Settings, version: Version, folder: Path) -> Path:
    """Fetch a version's files into a folder, and check each against its recorded sha256. Raises IntegrityError."""
    client = tracking.connect(settings)
    with tracking.translated(settings), TemporaryDirectory() as work:
        registered = client.get_model_version(settings.mlflow.model_name, str(version.version))
        fetched = mlflow.artifacts.download_artifacts(
            artifact_uri=_artifact_uri(client, registered),
            dst_path=work,
            tracking_uri=settings.mlflow.tracking_uri,
        )
        folder.mkdir(parents=True, exist_ok=True)
        for path in Path(fetched).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    expected = registered.tags.get(tracking.SHA256)
    if sha256_of((folder / MODEL).read_bytes()) != expected:
        raise IntegrityError(
            f"{MODEL} of {version.model_id} is not what was registered (sha256 {expected}): restore it"
        )
    ModelArtifact.load(folder)
    return folder


def load(settings: Settings, version: Version) -> ModelArtifact:
    """A version's model, fetched and checked. Raises IntegrityError."""
    with TemporaryDirectory() as folder:
        return ModelArtifact.load(download(settings, version, Path(folder)), settings.train.threads)


def locate(settings: Settings, version: Version) -> Located:
    """Where a version's files are, and what they must be. Raises DataError if MLflow no longer has them."""
    client = tracking.connect(settings)
    with tracking.translated(settings):
        try:
            registered = client.get_model_version(settings.mlflow.model_name, str(version.version))
            threshold = client.get_run(version.run_id).data.params.get("threshold")
            uri = _artifact_uri(client, registered)
        except MlflowException as error:
            if tracking.is_absent(error):
                raise DataError(f"MLflow has {version.model_id} but not its run or its files: train anew") from error
            raise
    return Located(uri, registered.tags[tracking.SHA256], None if threshold is None else float(threshold))


def register(client: MlflowClient, settings: Settings, run: Run) -> Version:
    """The version of a candidate's run; a run is registered once."""
    name = settings.mlflow.model_name
    there = [pair for pair in _registered(client, name) if pair[0].run_id == run.info.run_id]
    if there:
        return _version(*there[0])
    try:
        client.create_registered_model(name, description="Probability that a called customer takes a term deposit.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    metrics = {key: value for key, value in run.data.metrics.items() if not key.startswith(tracking.VALIDATION)}
    uri = run.data.tags[tracking.MODEL_URI]
    tags = {
        _DATASET: run.data.tags[_DATASET],
        _METRICS: json.dumps(metrics),
        tracking.SHA256: run.data.tags[tracking.SHA256],
    }
    made = client.create_model_version(
        name, uri, run.info.run_id, tags, description=f"{run.info.run_name} on {tags[_DATASET]}", model_id=_logged(uri)
    )
    return _version(made, ())


def appoint(settings: Settings, version: Version, before: Version | None) -> None:
    """Make a version the champion, and the one before it `previous`."""
    client, name = tracking.connect(settings), settings.mlflow.model_name
    with tracking.translated(settings):
        if before is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(before.version))
        client.set_registered_model_alias(name, CHAMPION, str(version.version))


def _registered(client: MlflowClient, name: str) -> list[tuple[ModelVersion, tuple[str, ...]]]:
    """Versions with their aliases, oldest first; none if the model was never registered."""
    try:
        aliases: Mapping[str, object] = client.get_registered_model(name).aliases
    except MlflowException as error:
        if tracking.is_absent(error):
            return []
        raise
    found: list[ModelVersion] = []
    token: str | None = None
    while token != "":
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found += page
        token = page.token or ""
    # what somebody registered by hand cannot be checked, and is none of ours
    ours = [model for model in found if {_DATASET, _METRICS, tracking.SHA256} <= model.tags.keys()]
    ordered = sorted(ours, key=lambda model: int(model.version))
    return [
        (model, tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(model.version))))
        for model in ordered
    ]


def _version(model: ModelVersion, aliases: tuple[str, ...]) -> Version:
    created = datetime.fromtimestamp(model.creation_timestamp / 1000, UTC)
    return Version(
        model_id=f"{model.name}-v{model.version}",
        version=int(model.version),
        run_id=str(model.run_id),
        created=created.isoformat(timespec="seconds"),
        dataset=model.tags[_DATASET],
        metrics=json.loads(model.tags[_METRICS]),
        aliases=aliases,
    )


def _artifact_uri(client: MlflowClient, registered: ModelVersion) -> str:
    where = client.get_logged_model(_logged(str(registered.source))).artifact_location
    return f"{where}/artifacts/{tracking.ARTIFACT}"


def _logged(uri: str) -> str:
    return uri.removeprefix("models:/")
