"""Request a release or a rollback, and wait for the reconciler to carry it out."""

import tempfile
from pathlib import Path

from sqlalchemy import Connection

from deposit.database import connect, reachable, transaction
from deposit.errors import GateError, ReleaseError
from deposit.progress import OnChange, Progress, log_progress
from deposit.registry.model_ids import registered_name
from deposit.registry.versions import CHAMPION
from deposit.release import repository
from deposit.release.repository import FAILED, FALLBACK, PENDING, Release
from deposit.sections import DatabaseSettings
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.waiting import wait_until

_POLL_SECONDS = 0.2


def request_release(settings: Settings, model_id: str | None = None, progress: Progress = log_progress) -> Release:
    """Request the release of a model (the champion by default) with its model card.

    If the model is live or its release is in progress, and the code of the service has not changed, that release is
    returned. Raises GateError if there is no champion.
    """
    # imported here: MLflow takes seconds to import, and waiting and rolling back do not need it
    from deposit.registry.registry import ModelRegistry
    from deposit.release.card_publisher import publish_card
    from deposit.release.packaging import package
    from deposit.selection import selection
    from deposit.selection.decision import champion_reason

    registry = ModelRegistry(settings)
    version = registry.by_id(model_id) if model_id else registry.champion()
    if version is None:
        raise GateError("there is no champion to release: run `deposit train` and `deposit select`, or name a model id")
    decision = selection.read_decision(registry, version) if CHAMPION in version.aliases else None
    why = f"{version.model_id} was requested by its id"
    if CHAMPION in version.aliases:
        why = champion_reason(version.model_id, decision)
    card = publish_card(settings.database, settings.store, registry, version, why, progress)
    packaged = package(settings.store, settings.state_dir, registry, version, card, progress)
    values = {
        "kind": FALLBACK if decision is not None and decision.fallback else "release",
        "model_id": version.model_id, "why": why,
        "bento_tag": packaged.tag, "bento_uri": packaged.uri, "bento_sha256": packaged.sha256,
        "target": settings.release.target,
    }  # fmt: skip
    with transaction(settings.database) as connection:
        repository.lock_requests(connection)
        existing = _existing_release(connection, packaged.sha256)
        if existing is None:
            return repository.request(connection, values)
    progress(f"{version.model_id} is {existing.state} already (release {existing.id})")
    return existing


def request_renewed_code(settings: Settings, progress: Progress = log_progress) -> Release | None:
    """Request the live model again if its Bento was packaged with a different version of the code.

    Returns None if nothing is live, a release is in progress, the live model is one of a replay, or the code is the
    same. Raises the errors of `request_release`.
    """
    from deposit.release.packaging import code_digest, packaged_code

    with transaction(settings.database) as connection:
        now, pending = repository.live(connection), repository.pending(connection)
    if now is None or pending or registered_name(now.model_id) != settings.mlflow.model_name:
        return None
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="look-", dir=settings.state_dir) as folder:
        archive = Path(folder) / "release.bento"
        ObjectStore(settings.store).download(now.bento_uri, archive)
        if packaged_code(archive) == code_digest():
            return None
    progress(f"{now.model_id} is served by another version of the code: packaging it with this version")
    return request_release(settings, now.model_id, progress)


def request_rollback(database: DatabaseSettings) -> Release:
    """Request the release of the model that was live before. Raises ReleaseError if there is none."""
    with transaction(database) as connection:
        repository.lock_requests(connection)
        now = repository.live(connection)
        if now is None:
            raise ReleaseError("there is nothing to roll back: no model is live; run `deposit release`")
        before = repository.previous(connection, now.model_id)
        if before is None:
            raise ReleaseError(f"there is nothing to roll back to: {now.model_id} is the first model that was live")
        pending = [release for release in repository.pending(connection) if release.model_id == before.model_id]
        why = f"rolled back from {now.model_id}"
        return pending[0] if pending else repository.request_again(connection, before, "rollback", why)


def wait(database: DatabaseSettings, release_id: int, timeout: float, progress: Progress = log_progress) -> Release:
    """Wait until a release is live. Raises ReleaseError with the reason if it fails or takes more than `timeout` s."""
    log, engine = OnChange(progress), connect(database)

    def poll() -> Release:
        with reachable(engine), engine.connect() as connection:
            release = repository.by_id(connection, release_id)
        log(f"release {release.id} of {release.model_id}: {release.state}")
        return release

    try:
        release = wait_until(poll, timeout, _POLL_SECONDS, lambda release: release.state not in PENDING)
    finally:
        engine.dispose()
    if release.state == FAILED:
        raise ReleaseError(f"release {release.id} of {release.model_id} failed: {release.reason}")
    if release.state in PENDING:
        raise ReleaseError(
            f"release {release.id} of {release.model_id} is still {release.state!r} after {timeout:g} s: "
            "check that `deposit releaser` runs (`deposit status`)"
        )
    return release


def history(database: DatabaseSettings) -> list[Release]:
    """Return all releases, newest first."""
    with transaction(database) as connection:
        return repository.history(connection)


def live(database: DatabaseSettings) -> Release | None:
    """Return the live release, if any."""
    with transaction(database) as connection:
        return repository.live(connection)


def describe(release: Release) -> str:
    """Describe a release in one line."""
    end = f": {release.reason}" if release.reason else ""
    where = f" at {release.endpoint}" if release.endpoint else ""
    return f"release {release.id} ({release.kind} of {release.model_id}) is {release.state}{where}{end}"


def _existing_release(connection: Connection, bento_sha256: str) -> Release | None:
    in_progress = [release for release in repository.pending(connection) if release.bento_sha256 == bento_sha256]
    now = repository.live(connection)
    if in_progress:
        return in_progress[0]
    return now if now is not None and now.bento_sha256 == bento_sha256 else None
