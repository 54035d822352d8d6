"""The life of a release: requested → building → testing → live → retired, or failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, text, update

from deposit.errors import ReleaseError
from deposit.registry.model_ids import registered_name
from deposit.tables import releases

REQUESTED, BUILDING, TESTING, LIVE, RETIRED, FAILED = "requested", "building", "testing", "live", "retired", "failed"
RENEWAL = "renewal"
"""Kind of a release that serves the same model anew, with the settings and secrets of today."""
FALLBACK = "fallback"
"""Kind of a release that serves the rate table in the place of a champion that was too old."""
PENDING = (REQUESTED, BUILDING, TESTING)
"""Under way; found so after a crash, a release starts again from the beginning."""

_NEXT = {
    REQUESTED: {BUILDING, FAILED},
    BUILDING: {BUILDING, TESTING, FAILED},
    TESTING: {BUILDING, LIVE, FAILED},
    LIVE: {RETIRED},
    RETIRED: set(),
    FAILED: set(),
}


def check_step(before: str, after: str) -> None:
    """Raise ReleaseError unless a release may go from one state to the other."""
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
    """One release. Raises ReleaseError if there is none."""
    release = _first(connection, releases.c.id == release_id)
    if release is None:
        raise ReleaseError(f"there is no release {release_id}: `deposit status` lists them")
    return release


def live(connection: Connection) -> Release | None:
    """The release that serves."""
    return _first(connection, releases.c.state == LIVE)


def pending(connection: Connection) -> list[Release]:
    """Releases asked for or under way, oldest first."""
    return _all(connection, releases.c.state.in_(PENDING), order=releases.c.id)


def history(connection: Connection) -> list[Release]:
    """All releases, newest first."""
    return _all(connection, releases.c.id > 0, order=releases.c.id.desc())


def previous(connection: Connection, model_id: str) -> Release | None:
    """The newest retired release of another model than this one: where a rollback goes.

    Of the same registered model: what a replay has served is none of production's.
    """
    ours = releases.c.model_id.startswith(f"{registered_name(model_id)}-v", autoescape=True)
    condition = (releases.c.state == RETIRED) & (releases.c.model_id != model_id) & ours
    return next(iter(_all(connection, condition, order=releases.c.updated_at.desc())), None)


def retired(connection: Connection) -> Release | None:
    """The release that lost its traffic last."""
    return next(iter(_all(connection, releases.c.state == RETIRED, order=releases.c.updated_at.desc())), None)


def request(connection: Connection, values: dict[str, Any]) -> Release:
    """A new row in state requested."""
    statement = insert(releases).values(state="requested", **values).returning(releases)
    return Release(**connection.execute(statement).mappings().one())


def request_again(connection: Connection, release: Release, kind: str, why: str) -> Release:
    """A new row in state requested, for the Bento that another release has brought to traffic before."""
    same = ("model_id", "bento_tag", "bento_uri", "bento_sha256", "target")
    return request(connection, {"kind": kind, "why": why, **{name: getattr(release, name) for name in same}})


def withdraw(connection: Connection, release: Release) -> Release:
    """Retire what is live with nothing in its place: the releaser takes its traffic away."""
    return step(connection, release, RETIRED, endpoint=release.endpoint)


def step(
    connection: Connection, release: Release, state: str, reason: str = "", endpoint: str | None = None
) -> Release:
    """Move a release to its next state. Raises ReleaseError if it may not, or if another process moved it."""
    check_step(release.state, state)
    values = {"state": state, "reason": reason, "endpoint": endpoint, "updated_at": func.clock_timestamp()}
    condition = (releases.c.id == release.id) & (releases.c.state == release.state)
    row = connection.execute(update(releases).where(condition).values(values).returning(releases)).mappings().first()
    if row is None:
        raise ReleaseError(f"release {release.id} is no longer {release.state!r}: another releaser has moved it")
    return Release(**row)


def go_live(connection: Connection, release: Release, endpoint: str) -> Release:
    """Retire what is live and make this one live; to be called inside one transaction."""
    old = live(connection)
    if old is not None:
        step(connection, old, RETIRED, endpoint=old.endpoint)
    return step(connection, release, LIVE, endpoint=endpoint)


def fail(connection: Connection, release: Release, reason: str) -> Release:
    """Close a release that cannot be carried out."""
    return step(connection, by_id(connection, release.id), FAILED, reason=reason)


def card_key(model_id: str, form: Literal["json", "md", "html"]) -> str:
    """Where in the bucket of reports the model card of a released model is."""
    return f"cards/{model_id}.{form}"


def lock_requests(connection: Connection) -> None:
    """One request at a time, until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('deposit.request'))"))


def _first(connection: Connection, condition: Any) -> Release | None:
    row = connection.execute(select(releases).where(condition)).mappings().first()
    return Release(**row) if row else None


def _all(connection: Connection, condition: Any, order: Any) -> list[Release]:
    return [Release(**row) for row in connection.execute(select(releases).where(condition).order_by(order)).mappings()]
