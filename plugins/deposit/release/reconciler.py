"""The releaser: makes what runs agree with the `releases` table, again and again, whatever happened before.

Level-based: each pass compares the live row with what runs and where the gateway points, repairs both, and carries out
what was asked for. A crash at any point leaves a state that the next pass repairs.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine, text

from deposit.database import connect, reachable
from deposit.errors import DataError, DepositError, IntegrityError, ReleaseError
from deposit.files import beat
from deposit.progress import OnChange, Progress, log_progress
from deposit.release import checks, leases, repository
from deposit.release.catalog_publisher import keep_catalog
from deposit.release.repository import BUILDING, RENEWAL, TESTING, Release
from deposit.release.targets import Target, Traffic, target_for
from deposit.settings import Settings
from deposit.store import ObjectStore

logger = logging.getLogger("deposit.releaser")

_PATIENCE_SECONDS = 5.0
"""How long the end waits for a catalog that is being written."""
_GRACE_SECONDS = 10.0
"""How long a lease may be without its holder: one that lives takes it anew when PostgreSQL was away."""
_CHANGED = "its settings, its secrets or their place have changed"


class Reconciliation:
    """One pass at a time; raises UpstreamError when a server is down, and is then to be called again later."""

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
        self._unheld_since: float | None = None

    def reconcile(self) -> None:
        """Repair what should be live, carry out the oldest request, tidy up after the last one."""
        self._recall()
        with reachable(self._engine), self._engine.connect() as connection:
            live, pending = repository.live(connection), repository.pending(connection)
        if self._traffic.repair():
            self._log("loaded the gateway's configuration")
        try:
            self._repair(live)
        except (ReleaseError, DataError) as error:
            if not pending:
                raise
            # what was asked for may well be the cure
            self._log(f"the live release cannot be brought back ({error}); going on with the next")
        if pending:
            self._deploy(pending[0])
        elif live is None or not self._renew(live):
            self._garbage_collect(live)

    def _recall(self) -> None:
        """Ask for what was live before a lease whose holder has not been heard of for a while."""
        # counted anew when PostgreSQL was away: the holder has to find it again too
        since, self._unheld_since = self._unheld_since, None
        with reachable(self._engine), self._engine.begin() as connection:
            lease = leases.orphan(connection) if leases.current(connection) else None
            if lease is None:
                return
            now = time.monotonic()
            self._unheld_since = now if since is None else since
            if now - self._unheld_since < _GRACE_SECONDS:
                return
            leases.give_back(connection, lease, f"{lease.name} had production's traffic, and its process is gone")
        self._log(f"taking traffic back from {lease.name}, whose process is gone")

    def _repair(self, live: Release | None) -> None:
        if live is None:
            if self._traffic.upstream():
                self._traffic.withdraw()
            return
        addresses = self._target.running().get(live.id)
        if addresses is None or self._target.problem(live.id):
            self._log(f"bringing back the live release {live.id} of {live.model_id}")
            self._install(live)
            addresses = self._target.start(live)
            self._ready(live, addresses)
        answering = checks.answering(self._target.client, addresses)
        if self._traffic.upstream() != answering:
            self._log(f"sending requests to the live release {live.id} at {', '.join(answering)}")
            self._ready(live, answering)
            self._traffic.switch(live, answering, partial(self._test, live))

    def _renew(self, live: Release) -> bool:
        """Ask for a new service beside one that was started with other settings or secrets; whether that was needed.

        Settings with which none passed its tests are not tried again: the service goes on with those it has.
        """
        wanted = self._target.configuration(live)
        if wanted in (self._refused, self._target.started_with(live.id)):
            return False
        if live.id not in self._target.running():
            # lost since it was repaired: what it was started with is not known, and the next look brings it back
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
            # what an interrupted attempt left behind never got traffic
            self._target.stop(release.id)
            self._install(release)
            addresses = self._target.start(release)
            release = self._transition(release, TESTING)
            self._ready(release, addresses)
            for address in addresses:
                self._test(release, address)
            # traffic first, then the rows: whoever reads `live` may rely on it; a crash between is repaired back
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
            actual = hashlib.sha256(archive.read_bytes()).hexdigest()
            if actual != release.bento_sha256:
                raise IntegrityError(
                    f"{release.bento_uri} has sha256 {actual}, its release {release.bento_sha256}: package it again"
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
            # a target that refuses everything must not keep the reason from being recorded
            self._log(f"what release {release.id} has left is not removed yet: {error}")
        with reachable(self._engine), self._engine.begin() as connection:
            repository.fail(connection, release, reason)

    def _transition(self, release: Release, state: str) -> Release:
        with reachable(self._engine), self._engine.begin() as connection:
            return repository.step(connection, release, state)

    def _garbage_collect(self, live: Release | None) -> None:
        """After the drain: stop what lost its traffic, keep the previous release unpacked for a quick rollback."""
        with reachable(self._engine), self._engine.connect() as connection:
            last = live or repository.retired(connection)
            before = repository.previous(connection, last.model_id) if last else None
        if last is None or (datetime.now(UTC) - last.updated_at).total_seconds() < self._settings.release.drain_seconds:
            return
        for release_id in self._target.running().keys() - ({live.id} if live else set()):
            self._log(f"stopping release {release_id}, drained")
            self._target.stop(release_id)
        self._target.prune({last.bento_sha256} | ({before.bento_sha256} if before else set()))


def run(settings: Settings, stop: Event) -> None:
    """Look every `poll_seconds` until `stop` is set; what is down is waited for, and reported once."""
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
            message = "another releaser is at work; this one waits"
        except DepositError as error:
            message = f"{error}; looking again until it works"
        if not stop.is_set():
            log(message)
        stop.wait(settings.release.poll_seconds)
    if not traffic.answers():
        logger.info("the gateway is gone, so the whole stack is being stopped, and its services with it")
        target.abandon()
    released.set()
    keeper.join(_PATIENCE_SECONDS)
    engine.dispose()


def _reconcile_while_alone(engine: Engine, reconciliation: Reconciliation, settings: Settings, stop: Event) -> None:
    """Hold the lock of the only releaser and look; return at once if another holds it, or when `stop` is set."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('deposit.releaser'))")):
            return
        try:
            while not stop.is_set():
                beat(settings.heartbeat_file)
                connection.execute(text("SELECT 1"))  # fails when the session, and the lock with it, is gone
                reconciliation.reconcile()
                stop.wait(settings.release.poll_seconds)
        finally:
            # closing the session gives the lock back; a pooled connection would keep it
            connection.invalidate()
