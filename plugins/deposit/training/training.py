"""Train a model on a dataset version and log it to MLflow. Idempotent: an identical training is reused."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pandas as pd
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.model.artifact import Provenance
from deposit.model.evaluation import Economics
from deposit.progress import Progress, log_progress
from deposit.registry import tracking
from deposit.registry.tags import RunRole, RunState, Tag
from deposit.sections import ComputeSettings, StoreSettings, TrainSettings
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history, mlflow_logging
from deposit.training.card import CardFigures, figures_of
from deposit.training.challenger import Challenger, make_challenger
from deposit.training.forward_cache import ForwardCache
from deposit.training.recipes import FALLBACK, RECIPES, Recipe
from deposit.training.rolling_origin import Fitting, Trainer
from deposit.training.search import TuningResult
from deposit.training.weighting import Standing


@dataclass(frozen=True)
class TrainedRecipe:
    """A recipe's run, its weight in the model, and its rolling-origin metrics."""

    name: str
    run_id: str
    weight: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """A finished training run.

    Args:
        run_id: MLflow run, which holds the model.
        dataset: dataset version that was trained on.
        reused: whether an identical training had already finished.
        challenger: `mixture`, or the name of the recipe if the model has only one.
        metrics: rolling-origin metrics of the model: `<metric>`, with `_low` and `_high` (rows resampled), `_month_low`
            and `_month_high` (months resampled).
        recipes: all recipes of the training.
    """

    run_id: str
    dataset: str
    reused: bool
    challenger: str
    metrics: Mapping[str, float]
    recipes: tuple[TrainedRecipe, ...]


def train(
    settings: Settings,
    dataset: str | None = None,
    excluded_periods: Sequence[str] = (),
    progress: Progress = log_progress,
    role: Literal[RunRole.TRAINING, RunRole.FALLBACK] = RunRole.TRAINING,
) -> TrainingResult:
    """Train on a dataset version (by default the one ingested last) and log the model to MLflow.

    Excluded months are neither trained on nor scored, since their data is known to be broken; those without rows in the
    dataset have no effect. A fallback is trained in the same way, from a single recipe. Raises DataError (no such
    dataset, too short a history), IntegrityError or UpstreamError.
    """
    client, bucket = tracking.connect(settings.mlflow.tracking_uri), ObjectStore(settings.store).data
    manifest = datasets.manifest(bucket, dataset) if dataset else history.newest_dataset(settings.store)
    version, excluded = manifest.version, _present(excluded_periods, manifest)
    with tracking.mlflow_errors(client):
        experiment_id = tracking.open_experiment(client, settings.mlflow.experiment).experiment_id
        settings_key = history.settings_key(settings.train, settings.select)
        key = history.training_key(version, excluded, settings_key, role)
        finished = history.finished_training(client, experiment_id, {Tag.ROLE: role, Tag.TRAINING_KEY: key})
        if finished is not None:
            progress(f"dataset {version} was already trained on with these settings: run {finished.info.run_id}")
            return result_of(client, finished, reused=True)
        frame = datasets.load(bucket, version, excluded)
        if excluded:
            progress(f"leaving out {', '.join(excluded)}: monitoring says that the data is broken")
        provenance = _provenance(manifest, excluded, key, history.git_revision(settings.revision))
        with _training_run(client, experiment_id, provenance, role, settings_key) as run_id:
            mlflow_logging.log_dataset(client, run_id, version, datasets.uri(bucket, version), len(frame))
            recipes = RECIPES if role is RunRole.TRAINING else (FALLBACK,)
            trainer = trainer_of(settings.store, settings.train, settings.compute, frame, progress, recipes)
            standing, economics = Standing(trainer.score(), settings.select.rule), Economics.of(settings.economics)
            progress(f"refitting on every labelled month up to {max(trainer.months)}")
            challenger = make_challenger(trainer, standing, settings.train, economics, provenance)
            scored = pd.concat([trainer.months[fold.period] for fold in standing.forward.folds])
            card = figures_of(challenger, scored, economics, settings.train.seed)
            tuning = trainer.tuning(sorted(trainer.months)) if role is RunRole.TRAINING else None
            _log(client, experiment_id, run_id, challenger, card, tuning, settings, progress)
        return result_of(client, client.get_run(run_id), reused=False)


def trainer_of(
    store: StoreSettings,
    train: TrainSettings,
    compute: ComputeSettings,
    frame: pd.DataFrame,
    progress: Progress = log_progress,
    recipes: tuple[Recipe, ...] | None = None,
) -> Trainer:
    """A trainer for a frame, configured by the settings, with its cache in the data bucket."""
    fitting = Fitting(train.label_delay, train.trials, train.seed, train.threads, recipes or RECIPES, compute)
    return Trainer(frame, fitting, ForwardCache(ObjectStore(store).data), progress)


def recorded(tracking_uri: str, run_id: str) -> TrainingResult:
    """The recorded result of a finished training. Raises DataError (no such training) or UpstreamError."""
    client = tracking.connect(tracking_uri)
    with tracking.mlflow_errors(client):
        return result_of(client, history.training_by_run(client, run_id), reused=False)


def result_of(client: MlflowClient, run: Run, reused: bool) -> TrainingResult:
    """Read the result of a finished training from its runs."""
    recipes = [
        TrainedRecipe(
            child.info.run_name,
            child.info.run_id,
            float(child.data.params["weight"]),
            {name: value for name, value in child.data.metrics.items() if not name.startswith(tracking.BY_MONTH)},
        )
        for child in tracking.child_runs(client, run)
    ]
    tags, measured = run.data.tags, run.data.metrics
    metrics = {name: value for name, value in measured.items() if not name.startswith(tracking.BY_MONTH)}
    return TrainingResult(run.info.run_id, tags[Tag.DATASET], reused, tags[Tag.CHALLENGER], metrics, tuple(recipes))


def _present(periods: Sequence[str], manifest: Manifest) -> list[str]:
    """The periods that have rows in the dataset: the others must not change the training key."""
    present = {part.period for part in manifest.files}
    return [period for period in periods if period in present]


def _provenance(manifest: Manifest, excluded: Sequence[str], key: str, revision: str) -> Provenance:
    return Provenance(
        dataset=manifest.version,
        ingested=manifest.created,
        training_key=key,
        revision=revision,
        lock_sha256=history.lock_sha256(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        excluded_periods=tuple(excluded),
    )


@contextmanager
def _training_run(
    client: MlflowClient, experiment_id: str, provenance: Provenance, role: RunRole, settings_key: str
) -> Iterator[str]:
    """Open the parent run, which ends as FINISHED, or as FAILED after an error."""
    tags = {Tag.ROLE: role, Tag.SETTINGS: settings_key, **mlflow_logging.provenance_tags(provenance)}
    run_id = mlflow_logging.start(client, experiment_id, f"{role} on {provenance.dataset}", tags)
    try:
        yield run_id
    except BaseException:
        client.set_terminated(run_id, RunState.FAILED)
        raise
    client.set_terminated(run_id, RunState.FINISHED)


def _log(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    challenger: Challenger,
    card: CardFigures,
    tuning: TuningResult | None,
    settings: Settings,
    progress: Progress,
) -> None:
    """Log the model to the training's run and, concurrently in one other thread, each recipe to a run of its own."""
    prices = settings.economics.model_dump(include={"deposit_value", "call_cost"})
    values = {**settings.train.model_dump(), "rule": settings.select.rule, **prices}
    with ThreadPoolExecutor(1, thread_name_prefix="recipes") as executor:
        progress(f"logging the model and its {len(challenger.members)} recipes to MLflow")
        recipes = [
            executor.submit(mlflow_logging.log_recipe, client, experiment_id, run_id, member, tuning)
            for member in challenger.members
        ]
        mlflow_logging.log_challenger(client, run_id, challenger, card, Economics.of(settings.economics), values)
        for recipe in recipes:
            recipe.result()
    client.set_tag(run_id, Tag.CHALLENGER, challenger.name)
    client.set_tag(run_id, Tag.CHALLENGER_RUN, run_id)
