"""MLflow's tracking server: the connection (quiet, short time limits, errors in one line), runs and their models."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import mlflow
import mlflow.artifacts
import requests
from mlflow import environment_variables as knobs
from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import ConfigError, IntegrityError
from deposit.model.artifact import MODEL, ModelArtifact, check_files, sha256_of
from deposit.registry.mlflow_api import ABSENT, outage
from deposit.registry.tags import Tag

BY_MONTH = "month/"
"""Prefix of metrics by month, the month being the step; the others are of all months that were scored."""
EARLIER = ("validation_", BY_MONTH)
"""Prefixes of what is no metric of a version; the first is of an earlier version's trainings."""
ARTIFACT = "artifact"
"""Name of a logged model's files among its artifacts."""
CARD_FIGURES = "model_card.json"
"""Name of the model card's figures among a training's artifacts."""
_HEALTH_SECONDS = 5.0
_KNOBS = (
    (knobs.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT, True),
    (knobs.MLFLOW_PRINT_MODEL_URLS_ON_CREATION, False),
    (knobs.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, False),
    (knobs.MLFLOW_DISABLE_TELEMETRY, True),
    (knobs.MLFLOW_UV_AUTO_DETECT, False),  # it would run uv for each model; the requirements are given
    (knobs.MLFLOW_HTTP_REQUEST_MAX_RETRIES, 2),
    (knobs.MLFLOW_HTTP_REQUEST_TIMEOUT, 60),
)


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server. Raises UpstreamError at once if the server does not answer."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    for knob, value in _KNOBS:
        knob.set(value)  # type: ignore[no-untyped-call]
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=_HEALTH_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise outage(uri, error) from error
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


@contextmanager
def mlflow_errors(client: MlflowClient) -> Iterator[None]:
    """MLflow's errors within as UpstreamError in one line."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        raise outage(str(client.tracking_uri), error) from error


def open_experiment(client: MlflowClient, name: str) -> Experiment:
    """The experiment of that name, created if there is none. Raises ConfigError if somebody has deleted it."""
    experiment = client.get_experiment_by_name(name) or _create_experiment(client, name)
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        raise ConfigError(
            f"the experiment {name!r} was deleted in MLflow, which keeps its name taken: "
            f"`MLFLOW_TRACKING_URI={client.tracking_uri} mlflow experiments restore --experiment-id "
            f"{experiment.experiment_id}` brings it back, or set DEPOSIT_MLFLOW__EXPERIMENT to another name"
        )
    return experiment


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """A run; None if there is none, or somebody has deleted it."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if is_absent(error):
            return None
        raise
    return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def read_card_figures(client: MlflowClient, run_id: str) -> bytes | None:
    """What a training keeps for its model's card; None if it was done by an earlier version, or was deleted."""
    if find_run(client, run_id) is None or CARD_FIGURES not in {each.path for each in client.list_artifacts(run_id)}:
        return None
    with TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run_id, CARD_FIGURES, folder)).read_bytes()


def log_card(client: MlflowClient, run_id: str, markdown: str, page: str) -> None:
    """Log a model's card in both forms; a later one takes its place."""
    client.log_text(run_id, markdown, "model_card.md")
    client.log_text(run_id, page, "model_card.html")


def newest_runs(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """The runs for which a filter holds, the newest first, fetched a few at a time."""
    token: str | None = None
    while token != "":
        page = client.search_runs(
            [experiment_id], condition, max_results=5, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token or ""


def child_runs(client: MlflowClient, run: Run) -> list[Run]:
    """The runs nested directly under a run, oldest first."""
    condition = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return list(client.search_runs([run.info.experiment_id], condition, order_by=["attributes.start_time ASC"]))


def is_absent(error: MlflowException) -> bool:
    """Whether the error says that a thing does not exist."""
    return bool(error.error_code == ABSENT)


def _create_experiment(client: MlflowClient, name: str) -> Experiment:
    try:
        return client.get_experiment(client.create_experiment(name))
    except MlflowException as error:
        experiment: Experiment | None = client.get_experiment_by_name(name)  # by another training, meanwhile
        if experiment is None:
            raise error
        return experiment


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


def logged_model(run: Run) -> LoggedModel:
    """The model of a training's run."""
    tags = run.data.tags
    return LoggedModel(tags[Tag.MODEL_URI], tags[Tag.MODEL_SHA256], f"run {run.info.run_id}")


def model_folder(client: MlflowClient, model: LoggedModel) -> str:
    """The folder of a model's files, as MLflow names it. Raises IntegrityError if the model was deleted."""
    try:
        location = client.get_logged_model(model.mlflow_id).artifact_location
    except MlflowException as error:
        if is_absent(error):
            raise IntegrityError(
                f"MLflow no longer has the model of {model.owner}: `deposit train` makes it anew"
            ) from error
        raise
    return f"{location}/artifacts/{ARTIFACT}"


def fetch_model(client: MlflowClient, model: LoggedModel, folder: Path) -> Path:
    """Fetch a model's files into a folder. Raises IntegrityError if any is missing or is not what was recorded."""
    source, server = model_folder(client, model), client.tracking_uri
    listed = mlflow.artifacts.list_artifacts(artifact_uri=source, tracking_uri=server)
    if MODEL not in {Path(file.path).name for file in listed}:
        raise IntegrityError(
            f"{source} has no {MODEL} of {model.owner} any more: restore the files, or `deposit train` makes them anew"
        )
    with TemporaryDirectory() as work:
        fetched = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=work, tracking_uri=server)
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
            f"of {model.owner} not all files are what they were: restore {source}, or `deposit train` makes them anew"
        ) from error
    return folder


def is_whole(client: MlflowClient, model: LoggedModel) -> bool:
    """Whether all files of a model are still there, and what they were."""
    with TemporaryDirectory() as folder:
        try:
            fetch_model(client, model, Path(folder))
        except IntegrityError:
            return False
    return True
