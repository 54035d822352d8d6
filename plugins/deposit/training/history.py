"""Where a model comes from: revision, lock, code and the key that makes a training repeatable."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.errors import DataError, GateError, SourceError
from deposit.registry import runmodels, tracking
from deposit.sections import TrainSettings
from deposit.settings import REPOSITORY, Settings
from deposit.store import ObjectStore

_CODE = ("data/columns.py", "model/*.py")
_LIBRARIES = ("numpy", "optuna", "scikit-learn", "xgboost-cpu")


def revision(settings: Settings) -> str:
    """The git commit of the code, `-dirty` with uncommitted changes; `unknown` outside a repository."""
    if settings.revision:
        return settings.revision
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain") else commit


def lock_sha256() -> str:
    """The sha256 of uv.lock; `absent` where the package was installed without the repository."""
    path = REPOSITORY / "uv.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def training_key(dataset: str, left_out: Sequence[str], settings: TrainSettings) -> str:
    """The same for two trainings that would give the same models: data, settings, code and libraries alike."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(path for pattern in _CODE for path in package.glob(pattern))
    code = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    content = [dataset, sorted(left_out), settings.model_dump(mode="json"), lock_sha256(), code, libraries()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def settings_key(settings: TrainSettings) -> str:
    """The same for two trainings with the same settings, whatever else they differ in."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:32]


def libraries() -> list[str]:
    """The installed libraries that a model's numbers hang on, as requirements."""
    return [f"{name}=={version(name)}" for name in _LIBRARIES]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


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
    found = finished(client, settings, {DATASET: version, SETTINGS: settings_key(settings.train)})
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
    return run if run is not None and runmodels.is_whole(client, runmodels.of_run(run)) else None


def _finished(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Run]:
    wanted = {ROLE: TRAINING, **tags}
    conditions = [f"attributes.status = '{_FINISHED}'", *(f"tags.`{name}` = '{wanted[name]}'" for name in wanted)]
    return tracking.newest(client, experiment_id, " AND ".join(conditions))
