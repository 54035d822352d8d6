"""Production's traffic, which a replay leases for its models."""

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
"""Much less than the releaser waits for a holder to be back when PostgreSQL was away."""


class TrafficLease:
    """Traffic while it is leased; all methods raise ReleaseError once it was taken back."""

    def __init__(self, settings: Settings, lease: Lease, progress: Progress) -> None:
        self._settings = settings
        self._lease = lease
        self._progress = progress

    def check(self) -> None:
        """See that it was not taken back. Raises UpstreamError too."""
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
    """Traffic for the models of `settings.mlflow.model_name`, which keep it when the block ends.

    If it fails, what was live before is live again, and if the process is killed, the releaser sees to that. Raises
    what the block raises, or ReleaseError if another replay has the traffic or if it could not be given back.
    """
    with _held(settings.database, settings.mlflow.model_name) as lease:
        try:
            yield TrafficLease(settings, lease, progress)
        except BaseException as error:
            ended = "has failed" if isinstance(error, Exception) else "was stopped"
            progress(f"the replay {ended}: putting back what was live before")
            try:
                _give_back(settings.database, lease, progress)
            except DepositError as another:
                reason = str(error) or f"the replay was stopped ({type(error).__name__})"
                raise ReleaseError(
                    f"{reason}; what was live before could not be put back either ({another}): run `deposit release`"
                ) from error
            raise
        with transaction(settings.database) as connection:
            leases.end(connection, lease)


@contextmanager
def _held(database: DatabaseSettings, name: str) -> Iterator[Lease]:
    engine, stop = connect(database), Event()
    try:
        with reachable(engine):
            session = engine.connect()
        with session:
            with reachable(engine), session.begin():
                lease = leases.begin(session, name)
            keeper = Thread(target=_keep, args=(session, stop), name="lease", daemon=True)
            keeper.start()
            try:
                yield lease
            finally:
                stop.set()
                keeper.join()
    finally:
        # closes the session, and the lock goes with it
        engine.dispose()


def _keep(session: Connection, stop: Event) -> None:
    """Have the lock until `stop` is set; when PostgreSQL was away, the session is another and takes it anew."""
    while not stop.wait(_HOLD_SECONDS):
        with suppress(UpstreamError), reachable(session.engine), session.begin():
            leases.hold(session)


def _give_back(database: DatabaseSettings, lease: Lease, progress: Progress) -> None:
    with transaction(database) as connection:
        release = leases.give_back(connection, lease, "the replay has failed")
    if release is not None:
        requests.wait(database, release.id, _SECONDS, progress)
