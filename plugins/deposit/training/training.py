"""Train: a dataset version to candidates in MLflow. Repeatable: the same training is done once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.data import dataset as datasets
from deposit.data.dataset import Manifest
from deposit.model.artifact import Provenance
from deposit.model.evaluation import Economics
from deposit.progress import Progress, log_progress
from deposit.registry import tracking
from deposit.registry.tags import RunRole, RunState, Tag
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training import history, mlflow_logging
from deposit.training.candidates import Candidate, fit_final, select_periods, tune_candidates
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
    settings: Settings,
    dataset: str | None = None,
    excluded_periods: Sequence[str] = (),
    progress: Progress = log_progress,
) -> TrainingResult:
    """Train the candidates on a dataset version (the one ingested last by default) and log them to MLflow.

    Excluded months are neither learned from nor tested on: their data is known to be broken. Those of which the
    dataset has no rows change nothing. Raises DataError (no such dataset, too short a history), IntegrityError or
    UpstreamError.
    """
    client = tracking.connect(settings.mlflow.tracking_uri)
    bucket = ObjectStore(settings.store).data
    manifest = datasets.manifest(bucket, dataset) if dataset else history.newest_dataset(settings.store)
    version, excluded = manifest.version, _present(excluded_periods, manifest)
    with tracking.mlflow_errors(client):
        experiment_id = tracking.open_experiment(client, settings.mlflow.experiment).experiment_id
        key = history.training_key(version, excluded, settings.train)
        finished = history.finished_training(client, experiment_id, {Tag.TRAINING_KEY: key})
        if finished is not None:
            progress(f"dataset {version} has been trained on with these settings before: run {finished.info.run_id}")
            return result_of(client, finished, reused=True)
        frame = datasets.load(bucket, version, excluded)
        if excluded:
            progress(f"leaving out {', '.join(excluded)}: monitoring has found the data broken")
        windows = split(frame["period"].to_numpy(dtype=str), settings.train.test_share, settings.train.validation_share)
        provenance = _provenance(version, excluded, key, history.git_revision(settings.revision))
        with _training_run(client, experiment_id, provenance, history.settings_key(settings.train)) as run_id:
            mlflow_logging.log_dataset(client, run_id, version, datasets.uri(bucket, version), len(frame))
            economics, development = Economics.of(settings.economics), select_periods(frame, windows.development)
            tuned = tune_candidates(development, windows, settings.train, economics, progress)
            progress(f"refitting on {windows.development[0]} to {windows.train_end}, testing on the months after")
            candidates = [fit_final(each, frame, windows, settings.train, economics, provenance) for each in tuned]
            _log(client, experiment_id, run_id, candidates, windows, settings, progress)
        return result_of(client, client.get_run(run_id), reused=False)


def recorded(settings: Settings, run_id: str) -> TrainingResult:
    """What the runs of a finished training record. Raises DataError (no such training) or UpstreamError."""
    client = tracking.connect(settings.mlflow.tracking_uri)
    with tracking.mlflow_errors(client):
        return result_of(client, history.training_by_run(client, run_id), reused=False)


def result_of(client: MlflowClient, run: Run, reused: bool) -> TrainingResult:
    """What a finished training's runs record."""
    candidates = []
    for child in tracking.child_runs(client, run):
        metrics, prefix = child.data.metrics, tracking.VALIDATION
        validation = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        test = {name: value for name, value in metrics.items() if not name.startswith(prefix)}
        candidates.append(TrainedCandidate(child.info.run_name, child.info.run_id, validation, test))
    tags = run.data.tags
    return TrainingResult(run.info.run_id, tags[Tag.DATASET], reused, tuple(candidates), tags[Tag.CHALLENGER])


def _present(periods: Sequence[str], manifest: Manifest) -> list[str]:
    """Those of which a dataset has rows: others must not make another training of the same rows."""
    present = {part.period for part in manifest.files}
    return [period for period in periods if period in present]


def _provenance(version: str, excluded: Sequence[str], key: str, revision: str) -> Provenance:
    return Provenance(
        dataset=version,
        training_key=key,
        revision=revision,
        lock_sha256=history.lock_sha256(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        excluded_periods=tuple(excluded),
    )


@contextmanager
def _training_run(client: MlflowClient, experiment_id: str, provenance: Provenance, settings_key: str) -> Iterator[str]:
    """The parent run: FINISHED at the end, FAILED after an error."""
    tags = {
        Tag.ROLE: RunRole.TRAINING,
        Tag.SETTINGS: settings_key,
        **mlflow_logging.provenance_tags(provenance),
    }
    run_id = mlflow_logging.start(client, experiment_id, f"training on {provenance.dataset}", tags)
    try:
        # the folds are fitted side by side: threads below them would only wait for each other
        with threadpool_limits(limits=1):
            yield run_id
    except BaseException:
        client.set_terminated(run_id, RunState.FAILED)
        raise
    client.set_terminated(run_id, RunState.FINISHED)


def _log(
    client: MlflowClient,
    experiment_id: str,
    parent: str,
    candidates: Sequence[Candidate],
    windows: Windows,
    settings: Settings,
    progress: Progress,
) -> None:
    """Log the candidates, the best of validation first: that one is the challenger."""
    for rank, candidate in enumerate(candidates):
        progress(f"logging {candidate.name} to MLflow")
        tags = {Tag.ROLE: RunRole.CANDIDATE, **mlflow_logging.metadata_tags(candidate.artifact.metadata)}
        run_id = mlflow_logging.start(client, experiment_id, candidate.name, tags, parent)
        mlflow_logging.log_candidate(
            client, run_id, candidate, windows, Economics.of(settings.economics), challenger=rank == 0
        )
        for number, trial in enumerate(candidate.tuned.tuning.trials):
            mlflow_logging.log_trial(client, experiment_id, run_id, number, trial)
        client.set_terminated(run_id, RunState.FINISHED)
        if rank == 0:
            client.set_tag(parent, Tag.CHALLENGER, candidate.name)
            client.set_tag(parent, Tag.CHALLENGER_RUN, run_id)
    spans = {name: f"{periods[0]} to {periods[-1]}" for name, periods in vars(windows).items()}
    prices = settings.economics.model_dump(include={"deposit_value", "call_cost"})
    mlflow_logging.log_values(client, parent, {}, {**settings.train.model_dump(), **prices, **spans})
