"""The table `releases`. States of a release: requested → building → testing → live → retired, or failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, text, update

from deposit.errors import ReleaseError
from deposit.registry.model_ids import registered_name
from deposit.tables import releases

REQUESTED, BUILDING, TESTING, LIVE, RETIRED, FAILED = "requested", "building", "testing", "live", "retired", "failed"
RENEWAL = "renewal"
"""Kind of a release that restarts the same model with the current settings and secrets."""
FALLBACK = "fallback"
"""Kind of a release that replaces an expired champion by the rate table."""
PENDING = (REQUESTED, BUILDING, TESTING)
"""States of a release in progress. After a crash, such a release starts again from the beginning."""

_NEXT = {
    REQUESTED: {BUILDING, FAILED},
    BUILDING: {BUILDING, TESTING, FAILED},
    TESTING: {BUILDING, LIVE, FAILED},
    LIVE: {RETIRED},
    RETIRED: set(),
    FAILED: set(),
}


def check_step(before: str, after: str) -> None:
    """Raise ReleaseError unless a release may change from state `before` to state `after`."""
    if after not in _NEXT.get(before, set()):
        raise ReleaseError(f"a release that is {before!r} cannot become {after!r}")


@dataclass(frozen=True)
class Release:
    """One row of `releases`."""

    id: int
    kind: str
    model_id: str
    why: str
    bento_tag: str
    bento_uri: str
    bento_sha256: str
    state: str
    reason: str
    target: str
    endpoint: str | None
    requested_at: datetime
    updated_at: datetime


def by_id(connection: Connection, release_id: int) -> Release:
    """Return a release. Raises ReleaseError if it does not exist."""
    release = _first(connection, releases.c.id == release_id)
    if release is None:
        raise ReleaseError(f"there is no release {release_id}: `deposit status` lists them")
    return release


def live(connection: Connection) -> Release | None:
    """Return the live release, if any."""
    return _first(connection, releases.c.state == LIVE)


def pending(connection: Connection) -> list[Release]:
    """Return the releases that are requested or in progress, oldest first."""
    return _all(connection, releases.c.state.in_(PENDING), order=releases.c.id)


def history(connection: Connection) -> list[Release]:
    """Return all releases, newest first."""
    return _all(connection, releases.c.id > 0, order=releases.c.id.desc())


def previous(connection: Connection, model_id: str) -> Release | None:
    """Return the newest retired release of another version of the same registered model: the target of a rollback.

    Models of a replay are registered under another name, so production is never rolled back to one.
    """
    ours = releases.c.model_id.startswith(f"{registered_name(model_id)}-v", autoescape=True)
    condition = (releases.c.state == RETIRED) & (releases.c.model_id != model_id) & ours
    return next(iter(_all(connection, condition, order=releases.c.updated_at.desc())), None)


def retired(connection: Connection) -> Release | None:
    """Return the release that was retired last."""
    return next(iter(_all(connection, releases.c.state == RETIRED, order=releases.c.updated_at.desc())), None)


def request(connection: Connection, values: dict[str, Any]) -> Release:
    """Insert a release in state requested."""
    statement = insert(releases).values(state="requested", **values).returning(releases)
    return Release(**connection.execute(statement).mappings().one())


def request_again(connection: Connection, release: Release, kind: str, why: str) -> Release:
    """Insert a release in state requested, with the model and Bento of an earlier one."""
    same = ("model_id", "bento_tag", "bento_uri", "bento_sha256", "target")
    return request(connection, {"kind": kind, "why": why, **{name: getattr(release, name) for name in same}})


def withdraw(connection: Connection, release: Release) -> Release:
    """Retire the live release without a successor; the releaser then withdraws its traffic."""
    return step(connection, release, RETIRED, endpoint=release.endpoint)


def step(
    connection: Connection, release: Release, state: str, reason: str = "", endpoint: str | None = None
) -> Release:
    """Move a release to its next state. Raises ReleaseError if that is not allowed, or another process has moved it."""
    check_step(release.state, state)
    values = {"state": state, "reason": reason, "endpoint": endpoint, "updated_at": func.clock_timestamp()}
    condition = (releases.c.id == release.id) & (releases.c.state == release.state)
    row = connection.execute(update(releases).where(condition).values(values).returning(releases)).mappings().first()
    if row is None:
        raise ReleaseError(f"release {release.id} is no longer {release.state!r}: another releaser has moved it")
    return Release(**row)


def go_live(connection: Connection, release: Release, endpoint: str) -> Release:
    """Retire the live release and make this one live. Call it inside a transaction."""
    old = live(connection)
    if old is not None:
        step(connection, old, RETIRED, endpoint=old.endpoint)
    return step(connection, release, LIVE, endpoint=endpoint)


def fail(connection: Connection, release: Release, reason: str) -> Release:
    """Mark a release as failed."""
    return step(connection, by_id(connection, release.id), FAILED, reason=reason)


def card_key(model_id: str, form: Literal["json", "md", "html"]) -> str:
    """Return the key of a model card in the reports bucket."""
    return f"cards/{model_id}.{form}"


def lock_requests(connection: Connection) -> None:
    """Serialize requests: hold an advisory lock until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('deposit.request'))"))


def _first(connection: Connection, condition: Any) -> Release | None:
    row = connection.execute(select(releases).where(condition)).mappings().first()
    return Release(**row) if row else None


def _all(connection: Connection, condition: Any, order: Any) -> list[Release]:
    return [Release(**row) for row in connection.execute(select(releases).where(condition).order_by(order)).mappings()]
