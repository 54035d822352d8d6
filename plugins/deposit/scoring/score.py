"""Batch scoring for `deposit score` and the DAG `deposit_score`, from the request to the published results."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from deposit.data.period import parse_period
from deposit.data.readings import Reading
from deposit.data.tables.dialect import FilesOfDialect
from deposit.data.tables.plaintext import stated_codec
from deposit.errors import ConfigError, DataError, GateError
from deposit.files import exclusive
from deposit.log.entries import microseconds
from deposit.model.artifact import ModelArtifact
from deposit.progress import Progress, log_progress
from deposit.registry.registry import ModelRegistry, load_model
from deposit.registry.versions import Version
from deposit.scoring.batch_scoring import BatchScoring
from deposit.scoring.bulk_log import BulkLog
from deposit.scoring.inputs import find_inputs, reads, whole_path
from deposit.scoring.journal import Journal, ScorePlan
from deposit.scoring.output import (
    MANIFEST,
    QUARANTINE,
    OutputFolder,
    ScoreManifest,
    output_folder,
    prepare,
    read_manifest,
)  # fmt: skip
from deposit.sections import ComputeSettings, ScoreSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

_REFUSED = "refused"
_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO})
"""Errors of a disk that is full, broken or not writable."""


@dataclass(frozen=True)
class ScoreRequest:
    """A request to score files.

    Args:
        source: file, folder or pattern, local or as `s3://bucket/…`.
        output: output folder.
        model: model id; None means the champion.
        period: month or day that logged predictions are dated to; None means now.
        overwrite: whether the results of another run may be replaced.
        restart: whether to start over instead of resuming an unfinished run.
    """

    source: str
    output: str
    model: str | None = None
    period: str | None = None
    overwrite: bool = False
    restart: bool = False


@dataclass(frozen=True)
class ScoreResult:
    """Published results; `created` is False if they existed before, `seconds` is the duration of this call."""

    output: str
    model_id: str
    rows: int
    rejected: int
    expected_subscriptions: float
    worth_calling: int
    parts: int
    quarantine: str | None
    logged: bool
    created: bool
    seconds: float
    readings: tuple[Reading, ...]
    dialects: tuple[FilesOfDialect, ...]


def score(settings: Settings, request: ScoreRequest, progress: Progress = log_progress) -> ScoreResult:
    """Score files and publish the ranked rows; resumes a run that was killed.

    Raises DataError (the files), GateError (no champion), ConfigError (the folder, or a different unfinished run) or
    UpstreamError; in each of these cases nothing is published.
    """
    started, store = time.monotonic(), ObjectStore(settings.store)
    folder = output_folder(request.output, store)
    registry = ModelRegistry(settings.changed("train", threads=1))  # each thread scores a block of its own
    version = _version(registry, request.model)
    plan = _plan(settings, request, version, folder, store)
    work = settings.score.work_dir or settings.state.scoring
    scratch = work / sha256(folder.uri.encode()).hexdigest()[:16]
    with _disk_errors(work), _locked(scratch, folder, progress):
        manifest = read_manifest(folder)
        created = manifest is None or request.restart or bool(manifest.plan.differences(plan))
        if manifest is None or created:
            prepare(folder, request.overwrite, scratch)
            journal = _journal(scratch, plan, request.restart)
            plan, artifact = journal.plan or plan, registry.load(version)
            log = BulkLog(settings.database, plan, artifact.threshold) if plan.is_logged else None
            with closing(log) if log else nullcontext(), _mark_if_refused(scratch):
                model = _model(settings.compute, registry, version, artifact)
                manifest = BatchScoring(
                    plan, journal, model, settings.compute, settings.score.threads,
                    store, folder, scratch, log, progress,
                ).run()  # fmt: skip
        shutil.rmtree(scratch)
    return _result(manifest, folder, created, time.monotonic() - started)


def with_defaults(
    scoring: ScoreSettings, store: StoreSettings, source: str | None, output: str | None, day: str
) -> tuple[str, str]:
    """Fill in the input and output of a day's run if they are not given. Raises ConfigError if no input is set."""
    source = source or scoring.input
    if source is None:
        raise ConfigError("there is no input: name one in the form, or set DEPOSIT_SCORE__INPUT")
    output = output or scoring.output or f"s3://{store.data_bucket}/scores/{{day}}"
    return source.replace("{day}", day), output.replace("{day}", day)


def _version(registry: ModelRegistry, model: str | None) -> Version:
    version = registry.by_id(model) if model else registry.champion()
    if version is None:
        raise GateError("there is no champion yet: run `deposit train` and `deposit select`, or name a model")
    return version


def _model(
    compute: ComputeSettings, registry: ModelRegistry, version: Version, artifact: ModelArtifact
) -> Callable[[], ModelArtifact]:
    """Function that returns the loaded model or, for workers elsewhere, loads it by its id."""
    if compute.scheduler is None:
        return lambda: artifact
    return partial(load_model, version.model_id, registry.resolve_artifact(version).sha256)


def _plan(
    settings: Settings, request: ScoreRequest, version: Version, folder: OutputFolder, store: ObjectStore
) -> ScorePlan:
    inputs = find_inputs(request.source, store)
    root = f"{folder.uri.rstrip('/')}/"
    inside = next((each.uri for each in inputs if whole_path(each.uri).startswith(root)), None)
    if inside:
        raise ConfigError(f"the input {inside} is in the output folder: name another output folder")
    if reads(request.source, f"{root}{MANIFEST.lstrip('_')}"):
        raise ConfigError(
            f"{folder.uri} is in the input folder, so the next run would score these results: name a folder elsewhere"
        )
    return ScorePlan(
        run_id=secrets.token_hex(16),
        output=folder.uri,
        inputs=tuple(inputs),
        model_id=version.model_id,
        deposit_value=settings.economics.deposit_value,
        call_cost=settings.economics.call_cost,
        period=request.period or "",
        is_logged=settings.score.log,
        event_time=microseconds(_event_time(request.period)),
        charset=stated_codec(settings.score.charset) or "",
    )


def _event_time(period: str | None) -> datetime:
    now = datetime.now(UTC)
    if period is None:
        return now
    start = parse_period(period).start
    if start > now:
        raise ConfigError(f"the period {period} is in the future: predictions can only be dated to one that has begun")
    return start


@contextmanager
def _locked(scratch: Path, folder: OutputFolder, progress: Progress) -> Iterator[None]:
    scratch.parent.mkdir(parents=True, exist_ok=True)
    waiting = f"waiting until another run to {folder.uri} has ended:"
    with exclusive(scratch.with_suffix(".lock"), lambda holder: progress(f"{waiting} {holder}")):
        scratch.mkdir(exist_ok=True)  # inside the lock: the previous holder has removed the folder
        yield


@contextmanager
def _disk_errors(work: Path) -> Iterator[None]:
    """Convert disk errors inside the block to ConfigError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRNOS:
            raise
        raise ConfigError(
            f"cannot write to {work} ({os.strerror(error.errno)}): free some space, or set DEPOSIT_SCORE__WORK_DIR; "
            "finished work is kept"
        ) from error


@contextmanager
def _mark_if_refused(scratch: Path) -> Iterator[None]:
    """Mark the run if its input is refused, so the next run may have other files without `--restart`."""
    try:
        yield
    except DataError:
        (scratch / _REFUSED).touch()
        raise


def _journal(scratch: Path, plan: ScorePlan, restart: bool) -> Journal:
    """Open the journal of an unfinished run to the same folder; start a new one if there is none, or to `restart`."""
    path, mark = scratch / "journal.jsonl", scratch / _REFUSED
    journal = Journal(path) if not restart else None
    if journal is not None and journal.plan is not None:
        differences, was_refused = journal.plan.differences(plan), mark.exists()
        mark.unlink(missing_ok=True)
        if not differences or (was_refused and journal.adopt(plan)):
            return journal
        if not was_refused:
            raise ConfigError(
                f"a run to {plan.output} was not finished, and {' and '.join(differences)} changed since: continue "
                "with the original ones, or start over with --restart"
            )
    shutil.rmtree(scratch)
    scratch.mkdir()
    journal = Journal(path)
    journal.add(plan)
    return journal


def _result(manifest: ScoreManifest, folder: OutputFolder, created: bool, seconds: float) -> ScoreResult:
    return ScoreResult(
        output=folder.uri,
        model_id=manifest.plan.model_id,
        rows=manifest.rows, rejected=manifest.rejected,
        expected_subscriptions=manifest.expected_subscriptions,
        worth_calling=manifest.worth_calling,
        parts=len(manifest.parts),
        quarantine=f"{folder.uri.rstrip('/')}/{QUARANTINE}/" if manifest.quarantine else None,
        logged=manifest.plan.is_logged, created=created, seconds=seconds,
        readings=manifest.readings,
        dialects=manifest.dialects,
    )  # fmt: skip
