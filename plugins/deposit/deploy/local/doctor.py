"""Checks of the machine and the stack, each with what to do about it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from deposit.database import transaction
from deposit.deploy import airflow
from deposit.deploy.layout import layout
from deposit.deploy.local import grafana, lifecycle, processes, supervision
from deposit.deploy.requirements import GIB, SYSTEMS, WITHOUT_DOCKER, Machine, shortfalls
from deposit.errors import ConfigError, DepositError
from deposit.settings import Settings
from deposit.store import ObjectStore


@dataclass(frozen=True)
class Finding:
    """One check's outcome."""

    what: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Run every check that makes sense now: of the machine, and of the stack if it runs."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("machine", _machine),
        ("Python", _python),
        ("Airflow's environment", lambda current: airflow.command(layout(current))[-1]),
        ("disk", _disk),
        ("memory", _memory),
        ("Grafana", _grafana),
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
        return Finding(what, False, error.whole)


def _machine(_: Settings) -> str:
    machine = Machine.this()
    if (machine.system, machine.processor) not in SYSTEMS:
        supported = ", ".join(" on ".join(reversed(each)) for each in sorted(SYSTEMS))
        raise ConfigError(f"{machine.system} on {machine.processor} is not supported: use Docker, or {supported}")
    for lack in shortfalls(WITHOUT_DOCKER, machine):
        raise ConfigError(f"{lack.present:.2g} {lack.what}, {lack.needed:g} are needed: use a larger machine")
    return f"{machine.system} on {machine.processor}, {machine.processors} processors, {machine.memory / GIB:.0f} GiB"


def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]} at {sys.executable}"


def _grafana(settings: Settings) -> str:
    there = grafana.installation(settings) or (grafana.on_path() if settings.stack.grafana is None else None)
    if there is None:
        return grafana.reason_for_none(settings, layout(settings).root)
    return f"{there.version()} at {there.program}"


def _disk(settings: Settings) -> str:
    folder = settings.state_dir if settings.state_dir.exists() else settings.state_dir.parent
    return f"{lifecycle.require_disk(folder) / GIB:.1f} GiB free at {folder}"


def _memory(settings: Settings) -> str:
    available = psutil.virtual_memory().available
    if available < WITHOUT_DOCKER.memory * GIB and not supervision.running(layout(settings)):
        raise ConfigError(f"{available / GIB:.1f} GiB available, {WITHOUT_DOCKER.memory} are needed: close something")
    return f"{available / GIB:.1f} GiB available"


def _ports(settings: Settings) -> str:
    wanted = lifecycle.wanted_ports(settings.stack)
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
