"""Leases: production's traffic for the models of another registered name, while their holder lives.

The holder's session in PostgreSQL keeps a lock that ends with its process, however that ends. A lease that is open
while nobody has the lock lost its holder, and the releaser takes the traffic back.
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
    """One row of `leases`: the registered model `name` has the traffic of release `before`, None for nobody's."""

    id: int
    name: str
    before: int | None
    began_at: datetime
    ended_at: datetime | None


def begin(connection: Connection, name: str) -> Lease:
    """Open a lease, held by this connection's session; one that lost its holder goes over into it.

    Raises ReleaseError if another holder lives.
    """
    repository.lock_requests(connection)
    if not hold(connection):
        raise ReleaseError("another replay has production's traffic: wait until it ends, or end it, and run it again")
    left, pending = current(connection), repository.pending(connection)
    # the return of an earlier lease may still be under way
    live = pending[-1] if pending else repository.live(connection)
    before = live.id if live else None
    if left is not None:
        end(connection, left)
        if live is not None and _is_of(live, left.name):
            before = left.before
    statement = insert(leases).values(name=name, before=before).returning(leases)
    return Lease(**connection.execute(statement).mappings().one())


def hold(connection: Connection) -> bool:
    """Let this connection's session have the lock from now on; False while another has it. May be repeated."""
    return bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})")))


def current(connection: Connection) -> Lease | None:
    """The lease that is open."""
    return _first(connection, leases.c.ended_at.is_(None))


def orphan(connection: Connection) -> Lease | None:
    """The open lease if nobody holds it; then nobody can until the transaction ends."""
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
            "production's traffic was taken back, since PostgreSQL did not hear of the replay for a while: run it "
            "again, it goes on"
        )


def end(connection: Connection, lease: Lease) -> bool:
    """End a lease and leave what is live as it is; whether it was open."""
    condition = (leases.c.id == lease.id) & leases.c.ended_at.is_(None)
    values = {"ended_at": func.clock_timestamp()}
    return connection.execute(update(leases).where(condition).values(values).returning(leases.c.id)).first() is not None


def give_back(connection: Connection, lease: Lease, why: str) -> Release | None:
    """End a lease and ask for what was live before it; None if it had ended, or if no release is needed."""
    repository.lock_requests(connection)
    if not end(connection, lease):
        return None
    before = None if lease.before is None else repository.by_id(connection, lease.before)
    return take_away(connection, lease.name, before, why)


def take_away(connection: Connection, name: str, before: Release | None, why: str) -> Release | None:
    """Take traffic from the registered model `name`: ask for what was live before it, or for nothing.

    None if that needs no release: nothing was live, or it still is, or somebody has released another model since.
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
