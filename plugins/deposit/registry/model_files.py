"""Download and verification of model files, through MLflow's REST API.

MLflow's library takes a second and 45 MiB to import: it is only used if the MLflow server does not proxy the artifacts.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from deposit.errors import IntegrityError
from deposit.model.artifact import MODEL, ModelArtifact, check_files, sha256_of
from deposit.registry.mlflow_api import FAILURES, ask, fetch, outage
from deposit.registry.versions import RegisteredVersions, Version

ARTIFACT = "artifact"
"""Name of the model's files among the artifacts of a logged model."""
_PROXIED = "mlflow-artifacts:/"
"""Prefix of artifact URIs that MLflow's server proxies."""


@dataclass(frozen=True)
class LoggedModel:
    """The model of a run or version: MLflow's URI, the recorded sha256 of model.json, and its owner for messages."""

    uri: str
    sha256: str
    owner: str

    @property
    def mlflow_id(self) -> str:
        """MLflow's own id of the model."""
        return self.uri.removeprefix("models:/")


class _ModelInfo(msgspec.Struct, frozen=True):
    artifact_uri: str


class _Model(msgspec.Struct, frozen=True):
    info: _ModelInfo


class _ModelResponse(msgspec.Struct, frozen=True):
    model: _Model


class _File(msgspec.Struct, frozen=True):
    path: str
    is_dir: bool = False


class _Listing(msgspec.Struct, frozen=True):
    files: tuple[_File, ...] = ()


class RegisteredModels(RegisteredVersions):
    """The registered versions with their files. Every method raises UpstreamError if MLflow does not answer."""

    def download(self, version: Version, folder: Path) -> Path:
        """Download a version's files to a folder and verify their sha256. Raises IntegrityError."""
        return fetch_model(self._settings.mlflow.tracking_uri, self.logged_model(version), folder)

    def load(self, version: Version) -> ModelArtifact:
        """Download, verify and load a version's model. Raises IntegrityError."""
        with TemporaryDirectory() as folder:
            return ModelArtifact.load(self.download(version, Path(folder)), self._settings.train.threads)

    def logged_model(self, version: Version) -> LoggedModel:
        """The recorded model of a version."""
        return LoggedModel(*self.recorded_model(version), version.model_id)


def model_folder(server: str, model: LoggedModel) -> str:
    """Artifact URI of a model's files.

    Raises IntegrityError if the model was deleted, or UpstreamError.
    """
    try:
        response = ask(server, f"logged-models/{model.mlflow_id}", {}, _ModelResponse)
    except FAILURES as error:
        raise outage(server, error) from error
    if response is None:
        raise IntegrityError(f"MLflow no longer has the model of {model.owner}: `deposit train` recreates it")
    return f"{response.model.info.artifact_uri}/artifacts/{ARTIFACT}"


def fetch_model(server: str, model: LoggedModel, folder: Path) -> Path:
    """Download a model's files to a folder and verify them.

    Raises IntegrityError if a file is missing or differs from the recorded one, or UpstreamError.
    """
    source = model_folder(server, model)
    files = _fetch_files(server, source)
    if MODEL not in files:
        raise IntegrityError(
            f"{source} no longer has {MODEL} of {model.owner}: restore the files, or `deposit train` recreates them"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if sha256_of(files[MODEL]) != model.sha256:
        raise IntegrityError(f"{MODEL} of {model.owner} is not what was registered (sha256 {model.sha256}): restore it")
    try:
        check_files(folder)
        ModelArtifact.load(folder)
    except IntegrityError as error:
        raise IntegrityError(
            f"files of {model.owner} are missing or changed: restore {source}, or `deposit train` recreates them"
        ) from error
    return folder


def is_whole(server: str, model: LoggedModel) -> bool:
    """Whether all files of a model exist and are unchanged. Raises UpstreamError."""
    with TemporaryDirectory() as folder:
        try:
            fetch_model(server, model, Path(folder))
        except IntegrityError:
            return False
    return True


def _fetch_files(server: str, source: str) -> dict[str, bytes]:
    """Contents of the files in a folder, by name."""
    path = source.removeprefix(_PROXIED)
    if path == source or path.startswith("/"):  # not proxied, or the URI names a server
        return _fetch_with_mlflow(server, source)
    try:
        listed = ask(server, "artifacts", {"path": path}, _Listing, api="mlflow-artifacts")
        names = [each.path for each in listed.files if not each.is_dir] if listed else []
        return fetch(server, {name: f"{path}/{name}" for name in names})
    except FAILURES as error:
        raise outage(server, error) from error


def _fetch_with_mlflow(server: str, source: str) -> dict[str, bytes]:
    import mlflow.artifacts
    import requests
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory() as work:
        try:
            if not mlflow.artifacts.list_artifacts(artifact_uri=source, tracking_uri=server):
                return {}
            fetched = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=work, tracking_uri=server)
        except (MlflowException, requests.RequestException) as error:
            raise outage(server, error) from error
        return {path.name: path.read_bytes() for path in Path(fetched).iterdir() if path.is_file()}
