"""A logged model: where MLflow has its files, and these, fetched and checked."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import IntegrityError
from deposit.model.artifact import MODEL, ModelArtifact, check_files, sha256_of
from deposit.registry import tracking


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


def of_run(run: Run) -> LoggedModel:
    """The model of a candidate's run."""
    tags = run.data.tags
    return LoggedModel(tags[tracking.MODEL_URI], tags[tracking.SHA256], f"run {run.info.run_id}")


def place(client: MlflowClient, model: LoggedModel) -> str:
    """The folder of a model's files, as MLflow names it. Raises IntegrityError if the model was deleted."""
    try:
        where = client.get_logged_model(model.mlflow_id).artifact_location
    except MlflowException as error:
        if tracking.is_absent(error):
            raise IntegrityError(
                f"MLflow no longer has the model of {model.owner}: `deposit train` makes it anew"
            ) from error
        raise
    return f"{where}/artifacts/{tracking.ARTIFACT}"


def fetch(client: MlflowClient, model: LoggedModel, folder: Path) -> Path:
    """Fetch a model's files into a folder. Raises IntegrityError if any is missing or is not what was recorded."""
    where, server = place(client, model), client.tracking_uri
    listed = mlflow.artifacts.list_artifacts(artifact_uri=where, tracking_uri=server)
    if MODEL not in {Path(file.path).name for file in listed}:
        raise IntegrityError(
            f"{where} has no {MODEL} of {model.owner} any more: restore the files, or `deposit train` makes them anew"
        )
    with TemporaryDirectory() as work:
        fetched = mlflow.artifacts.download_artifacts(artifact_uri=where, dst_path=work, tracking_uri=server)
        folder.mkdir(parents=True, exist_ok=True)
        for path in Path(fetched).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    if sha256_of((folder / MODEL).read_bytes()) != model.sha256:
        raise IntegrityError(f"{MODEL} of {model.owner} is not what was registered (sha256 {model.sha256}): restore it")
    try:
        check_files(folder)
        ModelArtifact.load(folder)
    except IntegrityError as error:
        raise IntegrityError(
            f"of {model.owner} not all files are what they were: restore {where}, or `deposit train` makes them anew"
        ) from error
    return folder


def is_whole(client: MlflowClient, model: LoggedModel) -> bool:
    """Whether all files of a model are still there, and what they were."""
    with TemporaryDirectory() as folder:
        try:
            fetch(client, model, Path(folder))
        except IntegrityError:
            return False
    return True
