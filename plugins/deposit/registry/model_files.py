"""The files of a model that MLflow keeps, fetched and checked; by its REST API, without its library.

That takes a second and 45 MiB to import; it is imported where MLflow itself does not hand the files out.
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
"""Name of a logged model's files among its artifacts."""
_PROXIED = "mlflow-artifacts:/"
"""Begins the address of what MLflow's server hands out."""


@dataclass(frozen=True)
class LoggedModel:
    """What a run or a version records of its model: MLflow's URI, the sha256 of its model.json, and whose it is."""

    uri: str
    sha256: str
    owner: str

    @property
    def mlflow_id(self) -> str:
        """MLflow's own id of it."""
        return self.uri.removeprefix("models:/")


class _ModelInfo(msgspec.Struct, frozen=True):
    artifact_uri: str


class _Model(msgspec.Struct, frozen=True):
    info: _ModelInfo


class _ModelAnswer(msgspec.Struct, frozen=True):
    model: _Model


class _File(msgspec.Struct, frozen=True):
    path: str
    is_dir: bool = False


class _Listing(msgspec.Struct, frozen=True):
    files: tuple[_File, ...] = ()


class RegisteredModels(RegisteredVersions):
    """The registered versions with their files. Each method raises UpstreamError if MLflow does not answer."""

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch a version's files into a folder, each checked against its recorded sha256. Raises IntegrityError."""
        return fetch_model(self._settings.mlflow.tracking_uri, self.logged_model(version), folder)

    def load(self, version: Version) -> ModelArtifact:
        """A version's model, fetched and checked. Raises IntegrityError."""
        with TemporaryDirectory() as folder:
            return ModelArtifact.load(self.download(version, Path(folder)), self._settings.train.threads)

    def logged_model(self, version: Version) -> LoggedModel:
        """What a version records of its model."""
        return LoggedModel(*self.recorded_model(version), version.model_id)


def model_folder(server: str, model: LoggedModel) -> str:
    """The folder of a model's files, as the MLflow at `server` names it.

    Raises IntegrityError if the model was deleted, or UpstreamError.
    """
    try:
        answer = ask(server, f"logged-models/{model.mlflow_id}", {}, _ModelAnswer)
    except FAILURES as error:
        raise outage(server, error) from error
    if answer is None:
        raise IntegrityError(f"MLflow no longer has the model of {model.owner}: `deposit train` makes it anew")
    return f"{answer.model.info.artifact_uri}/artifacts/{ARTIFACT}"


def fetch_model(server: str, model: LoggedModel, folder: Path) -> Path:
    """Fetch a model's files into a folder.

    Raises IntegrityError if any is missing or is not what was recorded, or UpstreamError.
    """
    source = model_folder(server, model)
    files = _fetched(server, source)
    if MODEL not in files:
        raise IntegrityError(
            f"{source} has no {MODEL} of {model.owner} any more: restore the files, or `deposit train` makes them anew"
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
            f"of {model.owner} not all files are what they were: restore {source}, or `deposit train` makes them anew"
        ) from error
    return folder


def is_whole(server: str, model: LoggedModel) -> bool:
    """Whether all files of a model are still there, and what they were. Raises UpstreamError."""
    with TemporaryDirectory() as folder:
        try:
            fetch_model(server, model, Path(folder))
        except IntegrityError:
            return False
    return True


def _fetched(server: str, source: str) -> dict[str, bytes]:
    """The content of a folder's files by their names."""
    path = source.removeprefix(_PROXIED)
    if path == source or path.startswith("/"):  # elsewhere, or at a server that is named
        return _fetched_by_library(server, source)
    try:
        listed = ask(server, "artifacts", {"path": path}, _Listing, api="mlflow-artifacts")
        names = [each.path for each in listed.files if not each.is_dir] if listed else []
        return fetch(server, {name: f"{path}/{name}" for name in names})
    except FAILURES as error:
        raise outage(server, error) from error


def _fetched_by_library(server: str, source: str) -> dict[str, bytes]:
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
