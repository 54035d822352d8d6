"""MLflow's tracking server: connecting to it, its experiments and runs, and its errors in one line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import mlflow
import requests
from mlflow import environment_variables as knobs
from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from deposit.errors import ConfigError
from deposit.registry.mlflow_api import ABSENT, client_of, outage
from deposit.registry.model_files import ARTIFACT as ARTIFACT  # logged models of earlier versions import it from here
from deposit.registry.model_files import LoggedModel
from deposit.registry.tags import Tag

BY_MONTH = "month/"
"""Prefix of monthly metrics, whose step is the month; metrics without it are over all scored months."""
EARLIER = ("validation_", BY_MONTH)
"""Prefixes of metrics that are not copied to a version; the first is from trainings of earlier versions of the code."""
CARD_FIGURES = "model_card.json"
"""Name of the artifact with the figures of the model card."""
_HEALTH_SECONDS = 5.0
_KNOBS = (
    (knobs.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT, True),
    (knobs.MLFLOW_PRINT_MODEL_URLS_ON_CREATION, False),
    (knobs.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, False),
    (knobs.MLFLOW_DISABLE_TELEMETRY, True),
    (knobs.MLFLOW_UV_AUTO_DETECT, False),  # it would run uv for each model, although the requirements are passed
    (knobs.MLFLOW_HTTP_REQUEST_MAX_RETRIES, 2),
    (knobs.MLFLOW_HTTP_REQUEST_TIMEOUT, 60),
)


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server. Raises UpstreamError at once if the server does not answer."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    for knob, value in _KNOBS:
        knob.set(value)  # type: ignore[no-untyped-call]
    try:
        with client_of(_HEALTH_SECONDS) as api:
            api.get(f"{uri.rstrip('/')}/health").raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise outage(uri, error) from error
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


@contextmanager
def mlflow_errors(client: MlflowClient) -> Iterator[None]:
    """Turn MLflow's errors within the block into UpstreamError with one line."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        raise outage(str(client.tracking_uri), error) from error


def open_experiment(client: MlflowClient, name: str) -> Experiment:
    """The experiment with this name, created if it is missing. Raises ConfigError if it was deleted."""
    experiment = client.get_experiment_by_name(name) or _create_experiment(client, name)
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        raise ConfigError(
            f"the experiment {name!r} was deleted in MLflow, which keeps its name taken: "
            f"`MLFLOW_TRACKING_URI={client.tracking_uri} mlflow experiments restore --experiment-id "
            f"{experiment.experiment_id}` brings it back, or set DEPOSIT_MLFLOW__EXPERIMENT to another name"
        )
    return experiment


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """A run; None if it does not exist or was deleted."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if is_absent(error):
            return None
        raise
    return run if run.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def read_card_figures(client: MlflowClient, run_id: str) -> bytes | None:
    """The stored card figures of a training; None if it was deleted, or logged by an earlier version of the code."""
    if find_run(client, run_id) is None or CARD_FIGURES not in {each.path for each in client.list_artifacts(run_id)}:
        return None
    with TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run_id, CARD_FIGURES, folder)).read_bytes()


def log_card(client: MlflowClient, run_id: str, markdown: str, page: str) -> None:
    """Log a model card in both formats, replacing an earlier one."""
    client.log_text(run_id, markdown, "model_card.md")
    client.log_text(run_id, page, "model_card.html")


def newest_runs(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """The runs that match a filter, newest first, fetched page by page."""
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
    """Whether the error means that something does not exist."""
    return bool(error.error_code == ABSENT)


def _create_experiment(client: MlflowClient, name: str) -> Experiment:
    try:
        return client.get_experiment(client.create_experiment(name))
    except MlflowException as error:
        experiment: Experiment | None = client.get_experiment_by_name(name)  # created concurrently by another training
        if experiment is None:
            raise error
        return experiment


def logged_model(run: Run) -> LoggedModel:
    """The recorded model of a training run."""
    tags = run.data.tags
    return LoggedModel(tags[Tag.MODEL_URI], tags[Tag.MODEL_SHA256], f"run {run.info.run_id}")
