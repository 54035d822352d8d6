"""The releaser: a control loop that makes the running services agree with the table `releases`.

It is level-triggered: each pass compares the live release with the running services and the gateway's upstreams,
repairs both, and deploys the next requested release. A crash at any point leaves a state that the next pass repairs.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine, text

from deposit.database import connect, reachable
from deposit.errors import DataError, DepositError, IntegrityError, ReleaseError
from deposit.files import beat, file_sha256
from deposit.progress import OnChange, Progress, log_progress
from deposit.release import checks, leases, repository
from deposit.release.catalog_publisher import keep_catalog
from deposit.release.repository import BUILDING, RENEWAL, TESTING, Release
from deposit.release.targets import Target, Traffic, target_for
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.waiting import Unchanged

logger = logging.getLogger("deposit.releaser")

_JOIN_SECONDS = 5.0
"""How long shutdown waits for the thread that writes the catalog."""
_GRACE_SECONDS = 10.0
"""How long a lease may be orphaned: after a restart of PostgreSQL, its holder has to acquire the lock again."""
_CHANGED = "its settings, its secrets or their place have changed"


class Reconciliation:
    """The state of the control loop. Its methods raise UpstreamError if a server is down; the next pass retries."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        target: Target,
        traffic: Traffic,
        progress: Progress = log_progress,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._target = target
        self._traffic = traffic
        self._store = ObjectStore(settings.store)
        self._log = OnChange(progress)
        self._released = released
        self._refused = ""
        self._orphaned, self._drained = Unchanged(), Unchanged()

    def reconcile(self) -> None:
        """Run one pass: repair the live release, deploy the oldest requested one, and remove drained services."""
        self._end_orphaned_lease()
        with reachable(self._engine), self._engine.connect() as connection:
            live, pending = repository.live(connection), repository.pending(connection)
        if self._traffic.repair():
            self._log("loaded the gateway's configuration")
        try:
            self._repair(live)
        except (ReleaseError, DataError) as error:
            if not pending:
                raise
            # the requested release may be the fix
            self._log(f"the live release cannot be restored ({error}); continuing with the requested one")
        if pending:
            self._deploy(pending[0])
        elif live is None or not self._renew(live):
            self._garbage_collect(live)

    def _end_orphaned_lease(self) -> None:
        """End a lease that has been orphaned for a while, and request the release that was live before it."""
        # the time starts again if PostgreSQL was down, since the holder has to reconnect too
        orphaned, self._orphaned = self._orphaned, Unchanged()
        with reachable(self._engine), self._engine.begin() as connection:
            lease = leases.orphan(connection) if leases.current(connection) else None
            if lease is None:
                return
            self._orphaned = orphaned
            if orphaned.seconds(lease.id) < _GRACE_SECONDS:
                return
            leases.give_back(connection, lease, f"{lease.name} had production's traffic, and its process has ended")
        self._log(f"taking the traffic back from {lease.name}, whose process has ended")

    def _repair(self, live: Release | None) -> None:
        if live is None:
            if self._traffic.upstream():
                self._traffic.withdraw()
            return
        addresses = self._target.running().get(live.id)
        if addresses is None or self._target.problem(live.id):
            self._log(f"restoring the live release {live.id} of {live.model_id}")
            self._install(live)
            addresses = self._target.start(live)
            self._ready(live, addresses)
        answering = checks.answering(self._target.client, addresses)
        if self._traffic.upstream() != answering:
            self._log(f"sending requests to the live release {live.id} at {', '.join(answering)}")
            self._ready(live, answering)
            self._traffic.switch(live, answering, partial(self._test, live))

    def _renew(self, live: Release) -> bool:
        """Request a renewal if the live service was started with other settings or secrets; returns whether it was.

        Settings with which a renewal has failed are not tried again: the service keeps the ones it has.
        """
        wanted = self._target.configuration(live)
        if wanted in (self._refused, self._target.started_with(live.id)):
            return False
        if live.id not in self._target.running():
            # it ended since `_repair`, so its configuration is not known; the next pass restores it
            return False
        with reachable(self._engine), self._engine.begin() as connection:
            repository.lock_requests(connection)
            if not repository.pending(connection) and repository.live(connection) == live:
                repository.request_again(connection, live, RENEWAL, _CHANGED)
        return True

    def _deploy(self, release: Release) -> None:
        started = time.monotonic()
        self._log(f"release {release.id}: {release.kind} of {release.model_id}")
        try:
            release = self._transition(release, BUILDING)
            # remove the remains of an interrupted attempt, which never got traffic
            self._target.stop(release.id)
            self._install(release)
            addresses = self._target.start(release)
            release = self._transition(release, TESTING)
            self._ready(release, addresses)
            for address in addresses:
                self._test(release, address)
            # traffic before rows: a release in state live really serves; a crash in between is undone by `_repair`
            addresses = self._traffic.switch(release, addresses, partial(self._test, release))
        except (ReleaseError, DataError) as error:
            self._fail(release, str(error))
            return
        with reachable(self._engine), self._engine.begin() as connection:
            live = repository.go_live(connection, release, ", ".join(addresses))
        self._released()
        seconds = time.monotonic() - started
        self._log(f"release {live.id}: {live.model_id} is live at {live.endpoint} after {seconds:.1f} s")

    def _install(self, release: Release) -> None:
        if self._target.installed(release):
            return
        with tempfile.TemporaryDirectory(prefix="download-", dir=self._settings.state_dir) as folder:
            archive = Path(folder) / "release.bento"
            self._store.download(release.bento_uri, archive)
            actual = file_sha256(archive)
            if actual != release.bento_sha256:
                raise IntegrityError(
                    f"{release.bento_uri} has sha256 {actual} instead of {release.bento_sha256}: package it again"
                )
            self._target.install(release, archive)

    def _ready(self, release: Release, addresses: tuple[str, ...]) -> None:
        timeout = self._settings.release.start_timeout
        for address in addresses:
            with self._target.client(address) as client:
                checks.wait_ready(client, timeout, lambda: self._target.problem(release.id))

    def _test(self, release: Release, address: str) -> None:
        parity = self._target.parity(release)
        rules = self._settings.release
        key = rules.service_key.get_secret_value() if rules.service_key else None
        at_once = checks.most_at_once(self._settings.serve)
        with self._target.client(address) as client:
            checks.smoke_test(client, release.model_id, parity, key)
            worst = checks.check_parity(client, release.model_id, parity, rules.parity_tolerance, at_once, key)
        self._log(f"release {release.id}: parity on {len(parity['rows'])} rows, largest difference {worst:.2g}")

    def _fail(self, release: Release, reason: str) -> None:
        self._log(f"release {release.id} of {release.model_id} failed: {reason}")
        try:
            if release.kind == RENEWAL:
                self._refused = self._target.configuration(release)
            self._target.stop(release.id)
        except ReleaseError as error:
            # an unusable target must not prevent the failure from being recorded
            self._log(f"the services of release {release.id} could not be removed yet: {error}")
        with reachable(self._engine), self._engine.begin() as connection:
            repository.fail(connection, release, reason)

    def _transition(self, release: Release, state: str) -> Release:
        with reachable(self._engine), self._engine.begin() as connection:
            return repository.step(connection, release, state)

    def _garbage_collect(self, live: Release | None) -> None:
        """Stop services without traffic after the drain time; keep the previous release installed for a rollback."""
        with reachable(self._engine), self._engine.connect() as connection:
            last = live or repository.retired(connection)
            before = repository.previous(connection, last.model_id) if last else None
        if last is None or self._drained.seconds((last.id, last.updated_at)) < self._settings.release.drain_seconds:
            return
        for release_id in self._target.running().keys() - ({live.id} if live else set()):
            self._log(f"stopping release {release_id}, drained")
            self._target.stop(release_id)
        self._target.prune({last.bento_sha256} | ({before.bento_sha256} if before else set()))


def run(settings: Settings, stop: Event) -> None:
    """Reconcile every `poll_seconds` until `stop` is set. Outages are logged once and retried."""
    engine, released = connect(settings.database), Event()
    target, traffic = target_for(settings)
    reconciliation = Reconciliation(settings, engine, target, traffic, released=released.set)
    keeper = Thread(target=keep_catalog, args=(settings, stop, released), name="catalog", daemon=True)
    keeper.start()
    log = OnChange(partial(logger.warning, "%s"))
    while not stop.is_set():
        beat(settings.heartbeat_file)
        try:
            _reconcile_while_alone(engine, reconciliation, settings, stop)
            message = "another releaser is running; this one waits"
        except (DepositError, OSError) as error:
            # an OSError without its file: that has a random name, and each retry would log another message
            message = f"{getattr(error, 'strerror', None) or error}; retrying until it works"
        if not stop.is_set():
            log(message)
        stop.wait(settings.release.poll_seconds)
    if not traffic.answers():
        logger.info("the gateway has stopped, so the whole stack is stopping: stopping its services too")
        target.abandon()
    released.set()
    keeper.join(_JOIN_SECONDS)
    engine.dispose()


def _reconcile_while_alone(engine: Engine, reconciliation: Reconciliation, settings: Settings, stop: Event) -> None:
    """Reconcile while holding the releaser lock, until `stop` is set. Returns at once if another process holds it."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('deposit.releaser'))")):
            return
        try:
            while not stop.is_set():
                beat(settings.heartbeat_file)
                connection.execute(text("SELECT 1"))  # fails if the session, and with it the lock, is lost
                reconciliation.reconcile()
                stop.wait(settings.release.poll_seconds)
        finally:
            # closes the session and so releases the lock; a connection returned to the pool would keep it
            connection.invalidate()
