"""Leases: the models of a replay get production's traffic for as long as the replay runs.

The holder keeps an advisory lock in its PostgreSQL session, so the lock ends with the process. A lease that is open
while nobody holds the lock is orphaned, and the releaser gives the traffic back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from deposit.errors import ReleaseError
from deposit.registry.model_ids import registered_name
from deposit.release import repository
from deposit.release.repository import Release
from deposit.tables import leases

_LOCK = "hashtext('deposit.lease')"


@dataclass(frozen=True)
class Lease:
    """One row of `leases`: the registered model `name` has taken the traffic from release `before`, if any was live."""

    id: int
    name: str
    before: int | None
    began_at: datetime
    ended_at: datetime | None


def begin(connection: Connection, name: str) -> Lease:
    """Open a lease held by the session of this connection; it replaces an orphaned one.

    Raises ReleaseError if another session holds a lease.
    """
    repository.lock_requests(connection)
    if not hold(connection):
        raise ReleaseError("another replay has production's traffic: wait until it ends, or stop it, and try again")
    orphaned, pending = current(connection), repository.pending(connection)
    # the release that ends an earlier lease may still be in progress
    live = pending[-1] if pending else repository.live(connection)
    before = live.id if live else None
    if orphaned is not None:
        end(connection, orphaned)
        if live is not None and _is_of(live, orphaned.name):
            before = orphaned.before
    statement = insert(leases).values(name=name, before=before).returning(leases)
    return Lease(**connection.execute(statement).mappings().one())


def hold(connection: Connection) -> bool:
    """Acquire the lock for the session of this connection; False if another session has it. Idempotent."""
    return bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})")))


def current(connection: Connection) -> Lease | None:
    """Return the open lease, if there is one."""
    return _first(connection, leases.c.ended_at.is_(None))


def orphan(connection: Connection) -> Lease | None:
    """Return the open lease if it is orphaned, and lock it until the end of the transaction."""
    repository.lock_requests(connection)
    lease = current(connection)
    if lease is None or not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")):
        return None
    return lease


def check(connection: Connection, lease: Lease) -> None:
    """Raise ReleaseError if a lease has ended."""
    now = _first(connection, leases.c.id == lease.id)
    if now is None or now.ended_at is not None:
        raise ReleaseError(
            "production's traffic was taken back, since the replay lost its connection to PostgreSQL for too long: run "
            "it again, and it resumes"
        )


def end(connection: Connection, lease: Lease) -> bool:
    """End a lease without changing what is live. Returns whether it was open."""
    condition = (leases.c.id == lease.id) & leases.c.ended_at.is_(None)
    values = {"ended_at": func.clock_timestamp()}
    return connection.execute(update(leases).where(condition).values(values).returning(leases.c.id)).first() is not None


def give_back(connection: Connection, lease: Lease, why: str) -> Release | None:
    """End a lease and request the release that was live before it; None if it had ended or no release is needed."""
    repository.lock_requests(connection)
    if not end(connection, lease):
        return None
    before = None if lease.before is None else repository.by_id(connection, lease.before)
    return take_away(connection, lease.name, before, why)


def take_away(connection: Connection, name: str, before: Release | None, why: str) -> Release | None:
    """Take the traffic from the registered model `name`, and request the release that was live before it.

    Returns None if no release is needed: none was live before, it still is, or another model has been released since.
    """
    repository.lock_requests(connection)
    now = repository.live(connection)
    theirs = [release for release in repository.pending(connection) if _is_of(release, name)]
    if before is not None:
        there = now is not None and (now.bento_sha256 == before.bento_sha256 or not _is_of(now, name))
        return None if there and not theirs else repository.request_again(connection, before, "rollback", why)
    for release in theirs:
        repository.fail(connection, release, why)
    if now is not None and _is_of(now, name):
        repository.withdraw(connection, now)
    return None


def _is_of(release: Release, name: str) -> bool:
    return registered_name(release.model_id) == name


def _first(connection: Connection, condition: Any) -> Lease | None:
    row = connection.execute(select(leases).where(condition)).mappings().first()
    return Lease(**row) if row else None
