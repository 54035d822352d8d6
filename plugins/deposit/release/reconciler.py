"""`deposit releaser`: the reconciler as a process that outlives the servers it depends on."""

import logging
from threading import Event, Thread

from sqlalchemy import Connection, Engine, text

from deposit.database import connect, reachable
from deposit.errors import DepositError
from deposit.heartbeat import beat
from deposit.release.catalog import keep_catalog
from deposit.release.gateway import Gateway
from deposit.release.reconciliation import Reconciliation
from deposit.release.targets import target_for
from deposit.settings import Settings

logger = logging.getLogger("deposit.releaser")

_PATIENCE_SECONDS = 5.0
"""How long the end waits for a catalog that is being written."""


def run(settings: Settings, stop: Event) -> None:
    """Look every `poll_seconds` until `stop` is set; what is down is waited for, told of once."""
    engine = connect(settings.database)
    released = Event()
    target, gateway = target_for(settings), Gateway(settings)
    reconciliation = Reconciliation(settings, engine, target, gateway, released=released.set)
    keeper = Thread(target=keep_catalog, args=(settings, stop, released), name="catalog", daemon=True)
    keeper.start()
    said = ""
    while not stop.is_set():
        beat(settings)
        try:
            _look_while_alone(engine, reconciliation, settings, stop)
            message = "another releaser is at work; this one waits"
        except DepositError as error:
            message = f"{error}; looking again until it works"
        if message != said and not stop.is_set():
            logger.warning("%s", message)
        said = message
        stop.wait(settings.release.poll_seconds)
    if not gateway.answers():
        logger.info("the gateway is gone, so the whole stack is being stopped, and its services with it")
        target.abandon()
    released.set()
    keeper.join(_PATIENCE_SECONDS)
    engine.dispose()


def _look_while_alone(engine: Engine, reconciliation: Reconciliation, settings: Settings, stop: Event) -> None:
    """Hold the lock of the only releaser and look; return at once if another holds it, or when `stop` is set."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext('deposit.releaser'))")):
            return
        try:
            while not stop.is_set():
                beat(settings)
                _check_lock(connection)
                reconciliation.look()
                stop.wait(settings.release.poll_seconds)
        finally:
            # closing the session gives the lock back; a pooled connection would keep it
            connection.invalidate()


def _check_lock(connection: Connection) -> None:
    """Fails when the session, and the lock with it, is gone."""
    connection.execute(text("SELECT 1"))
