"""Checks of the machine and the stack; each failure says what to do about it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from deposit.database import transaction
from deposit.deploy import airflow
from deposit.deploy.layout import Layout
from deposit.deploy.local import grafana, lifecycle, processes, supervision
from deposit.deploy.local.programs import wanted_ports
from deposit.deploy.requirements import (
    GIB,
    PYTHON,
    SYSTEMS,
    WITHOUT_DOCKER,
    Machine,
    require_disk,
    require_limits,
    shortfalls,
)
from deposit.errors import ConfigError, DepositError
from deposit.sections import DatabaseSettings, StackSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Run the checks of the machine and, if the stack runs, of the stack."""
    place = Layout(settings.state.root)
    is_running = supervision.running(place)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("machine", _machine),
        ("Python", _python),
        ("Airflow's environment", lambda: airflow.command(place)[-1]),
        ("disk", lambda: _disk(settings.state_dir)),
        ("memory", lambda: _memory(is_running)),
        ("Grafana", lambda: _grafana(settings.stack, place)),
    ]
    if is_running or supervision.states(place):
        checks += [
            ("parts", lambda: _parts(lifecycle.status(settings), place)),
            ("database", lambda: _database(settings.database)),
            ("object store", lambda: _store(settings.store)),
        ]
    else:
        checks += [("ports", lambda: _ports(settings.stack))]
    return [_check(what, check) for what, check in checks]


def _check(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except DepositError as error:
        return Finding(what, False, error.whole)


def _machine() -> str:
    machine = Machine.this()
    if (machine.system, machine.processor) not in SYSTEMS:
        supported = ", ".join(" on ".join(reversed(each)) for each in sorted(SYSTEMS))
        raise ConfigError(f"{machine.system} on {machine.processor} is not supported: use Docker, or {supported}")
    for lack in shortfalls(WITHOUT_DOCKER, machine):
        raise ConfigError(f"{lack.present:.2g} {lack.what}, {lack.needed:g} are needed: use a larger machine")
    require_limits()
    return f"{machine.system} on {machine.processor}, {machine.processors} processors, {machine.memory / GIB:.0f} GiB"


def _python() -> str:
    this = sys.version_info[:2]
    if not PYTHON[0] <= this <= PYTHON[1]:
        present, oldest, newest = ("{}.{}".format(*each) for each in (this, *PYTHON))
        raise ConfigError(f"Python {present} is not supported, {oldest} to {newest} are: make PYTHON={newest} setup")
    return f"{sys.version.split()[0]} at {sys.executable}"


def _grafana(stack: StackSettings, place: Layout) -> str:
    there = grafana.installation(stack) or (grafana.on_path() if stack.grafana is None else None)
    if there is None:
        return grafana.reason_for_none(stack, place.root)
    return f"{there.version()} at {there.program}"


def _disk(state_dir: Path) -> str:
    folder = state_dir if state_dir.exists() else state_dir.parent
    return f"{require_disk(folder) / GIB:.1f} GiB free at {folder}"


def _memory(is_running: bool) -> str:
    available = psutil.virtual_memory().available
    if available < WITHOUT_DOCKER.memory * GIB and not is_running:
        raise ConfigError(f"{available / GIB:.1f} GiB available, {WITHOUT_DOCKER.memory} are needed: close something")
    return f"{available / GIB:.1f} GiB available"


def _ports(stack: StackSettings) -> str:
    wanted = wanted_ports(stack)
    processes.require_free(wanted)
    return f"{len(wanted)} free"


def _parts(parts: list[lifecycle.ServiceStatus], place: Layout) -> str:
    if left := [part.name for part in parts if part.state == "unsupervised"]:
        raise ConfigError(
            f"the supervisor was killed, and {len(left)} parts still run: `deposit up` restarts the stack, "
            "`deposit down` stops it"
        )
    broken = [f"{part.name} is {part.state}" for part in parts if part.state not in ("running", "starting")]
    if broken:
        raise ConfigError(f"{', '.join(broken)}: see the logs in {place.logs}, then `deposit up`")
    return f"{len(parts)} running"


def _database(database: DatabaseSettings) -> str:
    with transaction(database) as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar()
    return f"PostgreSQL {version}"


def _store(store: StoreSettings) -> str:
    return f"{len(ObjectStore(store).data.keys('datasets/'))} objects of datasets"
