"""Train: a dataset version to candidates in MLflow. Repeatable: the same training is done once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.model.evaluation import Economics
from deposit.progress import Progress, log_progress
from deposit.registry import tracking
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history, mlflow_logging
from deposit.training.candidates import Candidate, fit_final, select_periods, tune_candidates
from deposit.training.history import CANDIDATE, CHALLENGER, CHALLENGER_RUN, DATASET, KEY, ROLE, SETTINGS, TRAINING
from deposit.training.windows import Windows, split


@dataclass(frozen=True)
class TrainedCandidate:
    """A candidate's run; `test` holds `<metric>`, `<metric>_low` and `<metric>_high`."""

    name: str
    run_id: str
    validation: Mapping[str, float]
    test: Mapping[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """A training's parent run; `reused` if the same training had been done before."""

    run_id: str
    dataset: str
    reused: bool
    candidates: tuple[TrainedCandidate, ...]
    challenger: str


def train(
    settings: Settings, dataset: str | None = None, left_out: Sequence[str] = (), progress: Progress = log_progress
) -> TrainingResult:
    """Train the candidates on a dataset version (the one ingested last by default) and log them to MLflow.

    Months in `left_out` are neither learned from nor tested on: their data is known to be broken. Those of which the
    dataset has no rows change nothing. Raises DataError (no such dataset, too short a history), IntegrityError or
    UpstreamError.
    """
    client = tracking.connect(settings)
    store, bucket = ObjectStore(settings.store), settings.store.data_bucket
    manifest = datasets.manifest(store, bucket, dataset) if dataset else history.newest_dataset(settings)
    version, left_out = manifest.version, _present(left_out, manifest)
    with tracking.mlflow_errors(settings):
        experiment_id = tracking.experiment(client, settings.mlflow.experiment).experiment_id
        key = history.training_key(version, left_out, settings.train)
        done = history.finished(client, settings, {KEY: key})
        if done is not None:
            progress(f"dataset {version} has been trained on with these settings before: run {done.info.run_id}")
            return result_of(client, done, reused=True)
        frame = datasets.load(store, bucket, version, left_out)
        if left_out:
            progress(f"leaving out {', '.join(left_out)}: monitoring has found the data broken")
        windows = split(frame["period"].to_numpy(dtype=str), settings.train.test_share, settings.train.validation_share)
        facts = {**_facts(settings, version, key), "left_out": left_out}
        tags = {ROLE: TRAINING, SETTINGS: history.settings_key(settings.train), **_tags(facts)}
        # the folds are fitted side by side: threads below them would only wait for each other
        with _training_run(client, experiment_id, version, tags) as run_id, threadpool_limits(limits=1):
            mlflow_logging.log_dataset(client, run_id, version, datasets.uri(bucket, version), len(frame))
            choices = tune_candidates(select_periods(frame, windows.development), windows, settings.train, progress)
            progress(f"refitting on {windows.development[0]} to {windows.trained_through}, testing on the months after")
            made = [fit_final(choice, frame, windows, settings.train, facts) for choice in choices]
            _log(client, experiment_id, run_id, made, windows, settings, progress)
        return result_of(client, client.get_run(run_id), reused=False)


def recorded(settings: Settings, run_id: str) -> TrainingResult:
    """What the runs of a finished training record. Raises DataError (no such training) or UpstreamError."""
    client = tracking.connect(settings)
    with tracking.mlflow_errors(settings):
        return result_of(client, history.named(client, run_id), reused=False)


def result_of(client: MlflowClient, run: Run, reused: bool) -> TrainingResult:
    """What a finished training's runs record."""
    found = []
    for child in tracking.children(client, run):
        metrics = child.data.metrics
        prefix = tracking.VALIDATION
        validation = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        test = {name: value for name, value in metrics.items() if not name.startswith(prefix)}
        found.append(TrainedCandidate(child.info.run_name, child.info.run_id, validation, test))
    tags = run.data.tags
    return TrainingResult(run.info.run_id, tags[DATASET], reused, tuple(found), tags[CHALLENGER])


def _present(periods: Sequence[str], manifest: Manifest) -> list[str]:
    """Those of which a dataset has rows: others must not make another training of the same rows."""
    there = {part.period for part in manifest.files}
    return [period for period in periods if period in there]


def _facts(settings: Settings, version: str, key: str) -> dict[str, Any]:
    return {
        "dataset": version,
        "training_key": key,
        "revision": history.revision(settings),
        "lock_sha256": history.lock_sha256(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@contextmanager
def _training_run(client: MlflowClient, experiment_id: str, version: str, tags: Mapping[str, str]) -> Iterator[str]:
    """The parent run: FINISHED at the end, FAILED after an error."""
    run_id = mlflow_logging.start(client, experiment_id, f"training on {version}", tags)
    try:
        yield run_id
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _tags(facts: Mapping[str, Any]) -> dict[str, str]:
    return {f"deposit.{name}": str(value) for name, value in facts.items()} | {
        "mlflow.source.git.commit": facts["revision"].removesuffix("-dirty")
    }


def _log(
    client: MlflowClient,
    experiment_id: str,
    parent: str,
    made: list[Candidate],
    windows: Windows,
    settings: Settings,
    progress: Progress,
) -> None:
    """Log the candidates, the best of validation first."""
    for rank, candidate in enumerate(made):
        progress(f"logging {candidate.name} to MLflow")
        tags = {ROLE: CANDIDATE, **_tags(candidate.artifact.metadata)}
        run_id = mlflow_logging.start(client, experiment_id, candidate.name, tags, parent)
        mlflow_logging.log_candidate(
            client, run_id, candidate, windows, Economics.of(settings.train), challenger=rank == 0
        )
        for number, trial in enumerate(candidate.choice.search.trials):
            mlflow_logging.log_trial(client, experiment_id, run_id, number, trial)
        client.set_terminated(run_id)
        if rank == 0:
            client.set_tag(parent, CHALLENGER, candidate.name)
            client.set_tag(parent, CHALLENGER_RUN, run_id)
    spans = {name: f"{periods[0]} to {periods[-1]}" for name, periods in vars(windows).items()}
    mlflow_logging.log_values(client, parent, {}, {**settings.train.model_dump(), **spans})
