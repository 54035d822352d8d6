"""The history of trainings in MLflow: those that are finished, and still have the model that they are about."""

from collections.abc import Iterator, Mapping

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.errors import DataError, GateError, SourceError
from deposit.model import logged, provenance, tracking
from deposit.settings import Settings
from deposit.store import ObjectStore

DATASET, KEY, SETTINGS, ROLE, CHALLENGER, CHALLENGER_RUN = (
    f"deposit.{name}" for name in ("dataset", "training_key", "settings", "role", "challenger", "challenger_run")
)
"""Tags of a training's run."""
TRAINING, CANDIDATE = "training", "candidate"
_FINISHED = "FINISHED"


def newest_dataset(settings: Settings) -> Manifest:
    """The dataset version that was ingested last. Raises SourceError if there is none."""
    bucket = settings.store.data_bucket
    newest = datasets.latest(ObjectStore(settings.store), bucket)
    if newest is None:
        raise SourceError(f"there is no dataset in {bucket}: run `deposit ingest` first")
    return newest


def finished(client: MlflowClient, settings: Settings, tags: Mapping[str, str]) -> Run | None:
    """The newest finished training with these tags whose challenger is still there; others are as if never made."""
    experiment = tracking.experiment(client, settings.mlflow.experiment)
    found = _finished(client, experiment.experiment_id, tags)
    return next((run for run in found if challenger(client, run) is not None), None)


def newest(client: MlflowClient, settings: Settings) -> Run:
    """The newest training of the dataset ingested last with today's settings. Raises GateError, SourceError."""
    version = newest_dataset(settings).version
    found = finished(client, settings, {DATASET: version, SETTINGS: provenance.settings_key(settings.train)})
    if found is None:
        raise GateError(
            f"there is no finished training of dataset {version}, the one ingested last, with today's settings "
            "to select from: run `deposit train`"
        )
    return found


def named(client: MlflowClient, run_id: str) -> Run:
    """The finished training with this run. Raises DataError."""
    run = tracking.run(client, run_id)
    if run is None:
        raise DataError(f"there is no MLflow run {run_id!r}, or it was deleted: name the run of a training")
    if CHALLENGER_RUN not in run.data.tags or run.info.status != _FINISHED:
        raise DataError(f"MLflow run {run_id} is not a finished training: name one, or train anew")
    return run


def challenger(client: MlflowClient, training: Run) -> Run | None:
    """The run of a training's challenger; None if it was deleted, or any of its model's files."""
    run_id = training.data.tags.get(CHALLENGER_RUN)
    run = tracking.run(client, run_id) if run_id else None
    return run if run is not None and logged.is_whole(client, logged.of_run(run)) else None


def _finished(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Run]:
    wanted = {ROLE: TRAINING, **tags}
    conditions = [f"attributes.status = '{_FINISHED}'", *(f"tags.`{name}` = '{wanted[name]}'" for name in wanted)]
    return tracking.newest(client, experiment_id, " AND ".join(conditions))
