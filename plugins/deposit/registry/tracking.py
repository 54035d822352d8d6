"""The connection to MLflow: quiet, with short time limits, and errors in one line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import mlflow
import requests
from mlflow import environment_variables as knobs
from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import ConfigError, UpstreamError
from deposit.settings import Settings

VALIDATION = "validation_"
"""Prefix of metrics of the validation months; the others are of the test months."""
SHA256, MODEL_URI = "deposit.model_sha256", "deposit.model_uri"
"""Tags of a candidate's run: of its model.json, and of its logged model."""
ARTIFACT = "artifact"
"""Name of a logged model's files among its artifacts."""
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
_ABSENT = "RESOURCE_DOES_NOT_EXIST"


def connect(settings: Settings) -> MlflowClient:
    """A client of the tracking server. Raises UpstreamError at once if the server does not answer."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    for knob, value in _KNOBS:
        knob.set(value)  # type: ignore[no-untyped-call]
    uri = settings.mlflow.tracking_uri
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=_HEALTH_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _down(settings, error) from error
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


@contextmanager
def mlflow_errors(settings: Settings) -> Iterator[None]:
    """MLflow's errors within as UpstreamError in one line."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        raise _down(settings, error) from error


def experiment(client: MlflowClient, name: str) -> Experiment:
    """The experiment of that name, made if there is none. Raises ConfigError if somebody has deleted it."""
    found = client.get_experiment_by_name(name) or _made(client, name)
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise ConfigError(
            f"the experiment {name!r} was deleted in MLflow, which keeps its name taken: "
            f"`MLFLOW_TRACKING_URI={client.tracking_uri} mlflow experiments restore --experiment-id "
            f"{found.experiment_id}` brings it back, or set DEPOSIT_MLFLOW__EXPERIMENT to another name"
        )
    return found


def run(client: MlflowClient, run_id: str) -> Run | None:
    """A run; None if there is none, or somebody has deleted it."""
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if is_absent(error):
            return None
        raise
    return found if found.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def newest(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """The runs for which a filter holds, the newest first, fetched as they are asked for."""
    token: str | None = None
    while token != "":
        page = client.search_runs(
            [experiment_id], condition, max_results=5, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token or ""


def children(client: MlflowClient, run: Run) -> list[Run]:
    """The runs nested directly under a run, oldest first."""
    condition = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return list(client.search_runs([run.info.experiment_id], condition, order_by=["attributes.start_time ASC"]))


def is_absent(error: MlflowException) -> bool:
    """Whether the error says that the thing asked for does not exist."""
    return bool(error.error_code == _ABSENT)


def _made(client: MlflowClient, name: str) -> Experiment:
    try:
        return client.get_experiment(client.create_experiment(name))
    except MlflowException as error:
        made: Experiment | None = client.get_experiment_by_name(name)  # by another training, meanwhile
        if made is None:
            raise error
        return made


def _down(settings: Settings, error: Exception) -> UpstreamError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UpstreamError(
        f"MLflow at {settings.mlflow.tracking_uri} does not answer as it should ({said}): "
        "start it (`deposit up`) or correct DEPOSIT_MLFLOW__TRACKING_URI"
    )
