"""Lease of production's traffic for the models of a replay."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from sqlalchemy import Connection

from deposit import loop
from deposit.database import connect, reachable, transaction
from deposit.errors import DepositError, ReleaseError, UpstreamError
from deposit.progress import Progress
from deposit.release import leases, requests
from deposit.release.leases import Lease
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

_SECONDS = 180
_HOLD_SECONDS = 0.5
"""Much shorter than the releaser waits for a lease holder to reconnect after an outage of PostgreSQL."""


class TrafficLease:
    """The leased traffic; every method raises ReleaseError once the lease was revoked."""

    def __init__(self, settings: Settings, lease: Lease, progress: Progress) -> None:
        self._settings = settings
        self._lease = lease
        self._progress = progress

    def check(self) -> None:
        """Check that the lease was not revoked. Raises UpstreamError too."""
        with transaction(self._settings.database) as connection:
            leases.check(connection, self._lease)

    def put(self, model_id: str) -> None:
        """Release a champion and wait until it is live. Raises UpstreamError too."""
        self.check()
        release = loop.release(self._settings, model_id, _SECONDS, self._progress)
        if release.state != "live":
            raise ReleaseError(f"{model_id} is champion but not live: {release.reason}")


@contextmanager
def borrowed_traffic(settings: Settings, progress: Progress) -> Iterator[TrafficLease]:
    """Lease the traffic for the models of `settings.mlflow.model_name`; if the block succeeds, they stay live.

    If the block fails, the model that was live before is restored; if the process is killed, the releaser restores it.
    Raises the errors of the block, or ReleaseError if another replay holds the lease or the traffic could not be
    restored.
    """
    with _hold_lease(settings.database, settings.mlflow.model_name) as lease:
        try:
            yield TrafficLease(settings, lease, progress)
        except BaseException as error:
            ended = "has failed" if isinstance(error, Exception) else "was stopped"
            progress(f"the replay {ended}: restoring the model that was live before")
            try:
                _return_traffic(settings.database, lease, progress)
            except DepositError as another:
                reason = str(error) or f"the replay was stopped ({type(error).__name__})"
                raise ReleaseError(
                    f"{reason}; the model that was live before could not be restored ({another}): run `deposit release`"
                ) from error
            raise
        with transaction(settings.database) as connection:
            leases.end(connection, lease)


@contextmanager
def _hold_lease(database: DatabaseSettings, name: str) -> Iterator[Lease]:
    engine, stop = connect(database), Event()
    try:
        with reachable(engine):
            session = engine.connect()
        with session:
            with reachable(engine), session.begin():
                lease = leases.begin(session, name)
            keeper = Thread(target=_keep_lock, args=(session, stop), name="lease", daemon=True)
            keeper.start()
            try:
                yield lease
            finally:
                stop.set()
                keeper.join()
    finally:
        # closes the session, which releases the lock
        engine.dispose()


def _keep_lock(session: Connection, stop: Event) -> None:
    """Keep the advisory lock until `stop` is set; after an outage of PostgreSQL, the new session acquires it again."""
    while not stop.wait(_HOLD_SECONDS):
        with suppress(UpstreamError), reachable(session.engine), session.begin():
            leases.hold(session)


def _return_traffic(database: DatabaseSettings, lease: Lease, progress: Progress) -> None:
    with transaction(database) as connection:
        release = leases.give_back(connection, lease, "the replay has failed")
    if release is not None:
        requests.wait(database, release.id, _SECONDS, progress)
