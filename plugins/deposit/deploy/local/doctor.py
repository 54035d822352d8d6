"""Checks of the machine and the stack, each with what to do about it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from deposit.database import transaction
from deposit.deploy import airflow
from deposit.deploy.layout import layout
from deposit.deploy.local import lifecycle, processes, supervision
from deposit.errors import ConfigError, DepositError
from deposit.settings import Settings
from deposit.store import ObjectStore

NEEDED_MEMORY = 4 * 2**30


@dataclass(frozen=True)
class Finding:
    """One check's outcome."""

    what: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Run every check that makes sense now: of the machine, and of the stack if it runs."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("Python", _python),
        ("Airflow's environment", lambda current: airflow.command(layout(current))[-1]),
        ("disk", _disk),
        ("memory", _memory),
    ]
    if supervision.running(layout(settings)):
        checks += [("parts", _parts), ("database", _database), ("object store", _store)]
    else:
        checks += [("ports", _ports)]
    return [_check(what, check, settings) for what, check in checks]


def _check(what: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(what, True, check(settings))
    except DepositError as error:
        return Finding(what, False, str(error))


def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _disk(settings: Settings) -> str:
    folder = settings.state_dir if settings.state_dir.exists() else settings.state_dir.parent
    return f"{lifecycle.require_disk(folder) / 2**30:.1f} GiB free at {folder}"


def _memory(settings: Settings) -> str:
    available = psutil.virtual_memory().available
    if available < NEEDED_MEMORY and not supervision.running(layout(settings)):
        raise ConfigError(
            f"{available / 2**30:.1f} GiB available, {NEEDED_MEMORY / 2**30:.0f} are needed: close something"
        )
    return f"{available / 2**30:.1f} GiB available"


def _ports(settings: Settings) -> str:
    wanted = lifecycle.wanted_ports(settings)
    processes.require_free(wanted)
    return f"{len(wanted)} free"


def _parts(settings: Settings) -> str:
    parts = lifecycle.status(settings)
    broken = [f"{part.name} is {part.state}" for part in parts if part.state not in ("running", "starting")]
    if broken:
        raise ConfigError(f"{', '.join(broken)}: see the logs in {layout(settings).logs}, then `deposit up`")
    return f"{len(parts)} running"


def _database(settings: Settings) -> str:
    with transaction(settings.database) as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar()
    return f"PostgreSQL {version}"


def _store(settings: Settings) -> str:
    return f"{len(ObjectStore(settings.store).data.keys('datasets/'))} objects of datasets"
