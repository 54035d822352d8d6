"""Provenance of a model (revision, lock file, code), and the lookup of finished training runs."""

import ast
import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.errors import DataError, GateError, SourceError
from deposit.registry import tracking
from deposit.registry.model_files import is_whole
from deposit.registry.tags import RunRole, RunState, Tag
from deposit.sections import SelectSettings, StoreSettings, TrainSettings
from deposit.settings import REPOSITORY, Settings
from deposit.store import ObjectStore

_CODE = (
    "data/columns.py",
    "model/*.py",
    "training/challenger.py",
    "training/fitting.py",
    "training/profiling.py",
    "training/recipes.py",
    "training/rolling_origin.py",
    "training/search.py",
    "training/training.py",
    "training/weighting.py",
)
"""Source files that a model's predictions depend on; plots, model cards and logging do not affect them."""
_LIBRARIES = ("numpy", "optuna", "scikit-learn", "xgboost-cpu")
_WITHOUT_EFFECT = {"executor", "threads", "with_faults"}
"""Settings that are no part of the key; the effect of `with_faults` is in the key as the excluded months."""


def git_revision(configured: str | None) -> str:
    """The git commit of the code, with `-dirty` if there are uncommitted changes; `unknown` outside a repository."""
    if configured:
        return configured
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain") else commit


def lock_sha256() -> str:
    """The sha256 of uv.lock; `absent` if the package is installed without the repository."""
    path = REPOSITORY / "uv.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def training_key(
    dataset: str, excluded_periods: Sequence[str], settings_key: str, role: RunRole = RunRole.TRAINING
) -> str:
    """Key of a training: equal for the same data, settings, code and libraries, which give the same model."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(path for pattern in _CODE for path in package.glob(pattern))
    code = code_digest(path.read_text() for path in files)
    content = [dataset, sorted(excluded_periods), settings_key, lock_sha256(), code, libraries(), role]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def settings_key(train: TrainSettings, select: SelectSettings) -> str:
    """Key of the settings that affect the model."""
    content = train.model_dump(mode="json", exclude=_WITHOUT_EFFECT) | {"rule": select.rule}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def code_digest(sources: Iterable[str]) -> str:
    """Digest of source code that ignores comments, docstrings and layout.

    >>> code_digest(["limit = 3  # a comment"]) == code_digest(["limit=3"])
    True
    """
    return hashlib.sha256(json.dumps([_plain(source) for source in sources]).encode()).hexdigest()


@lru_cache(maxsize=256)
def _plain(source: str) -> str:
    return ast.unparse(_WithoutDocstrings().visit(ast.parse(source)))


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops statements that consist of a string literal only."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def libraries() -> list[str]:
    """The installed libraries that a model's predictions depend on, as pinned requirements."""
    return [f"{name}=={version(name)}" for name in _LIBRARIES]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git is not installed
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def newest_dataset(settings: StoreSettings) -> Manifest:
    """The dataset version that was ingested last. Raises SourceError if there is none."""
    newest = datasets.latest(ObjectStore(settings).data)
    if newest is None:
        raise SourceError(f"there is no dataset in {settings.data_bucket}: run `deposit ingest` first")
    return newest


def finished_training(client: MlflowClient, experiment_id: str, tags: Mapping[Tag, str]) -> Run | None:
    """The newest finished training run with these tags; runs whose challenger was deleted or damaged do not count."""
    wanted = {Tag.ROLE: RunRole.TRAINING, **tags}
    conditions = [
        f"attributes.status = '{RunState.FINISHED}'",
        *(f"tags.`{name}` = '{value}'" for name, value in wanted.items()),
    ]
    runs = tracking.newest_runs(client, experiment_id, " AND ".join(conditions))
    return next((run for run in runs if challenger_run(client, run) is not None), None)


def newest_training(client: MlflowClient, settings: Settings) -> Run:
    """The newest training run of the latest dataset with the current settings. Raises GateError or SourceError."""
    dataset = newest_dataset(settings.store).version
    experiment = tracking.open_experiment(client, settings.mlflow.experiment)
    tags = {Tag.DATASET: dataset, Tag.SETTINGS: settings_key(settings.train, settings.select)}
    run = finished_training(client, experiment.experiment_id, tags)
    if run is None:
        raise GateError(
            f"there is no finished training run of dataset {dataset}, the latest, with the current settings: "
            "run `deposit train`"
        )
    return run


def training_by_run(client: MlflowClient, run_id: str) -> Run:
    """The finished training run with this id. Raises DataError."""
    run = tracking.find_run(client, run_id)
    if run is None:
        raise DataError(
            f"there is no MLflow run {run_id!r}, or it was deleted: name a training run, or run `deposit train`"
        )
    if Tag.CHALLENGER_RUN not in run.data.tags or run.info.status != RunState.FINISHED:
        raise DataError(f"MLflow run {run_id} is not a finished training run: name one, or run `deposit train`")
    return run


def challenger_run(client: MlflowClient, training: Run) -> Run | None:
    """The run that holds a training's challenger; None if it was deleted or its model files are not intact."""
    run_id = training.data.tags.get(Tag.CHALLENGER_RUN)
    run = tracking.find_run(client, run_id) if run_id else None
    return run if run is not None and is_whole(client.tracking_uri, tracking.logged_model(run)) else None
