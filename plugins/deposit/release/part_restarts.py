"""Unplanned restarts of the stack's services, as reported by the Docker engine or supervisor.

The releaser watches for them, since it alone has access to both. It records them in the table `events`, where they
survive a restart of the releaser itself.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event

from sqlalchemy import Engine

from deposit.database import connect, reachable
from deposit.errors import DepositError
from deposit.events import record_restart
from deposit.progress import OnChange
from deposit.sections import DatabaseSettings, ReleaseSettings

logger = logging.getLogger("deposit.releaser")

_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class PartStart:
    """Last start of a service, and its number of restarts so far; None if supervisor runs it, which does not count."""

    part: str
    at: datetime
    restarts: int | None


def watch_parts(release: ReleaseSettings, database: DatabaseSettings, stop: Event) -> None:
    """Record restarts every minute until `stop` is set. An outage is logged once.

    Does nothing on ECS and Lambda, where the platform restarts and counts services.
    """
    log, engine = OnChange(partial(logger.warning, "%s")), connect(database)
    seen: dict[str, int | None] = {}
    while not stop.is_set():
        message = ""
        try:
            seen = record_restarts(release, engine, seen)
        except DepositError as error:
            message = f"restarts of services cannot be recorded: {error}"
        log(message)
        stop.wait(_EVERY_SECONDS)
    engine.dispose()


def record_restarts(release: ReleaseSettings, engine: Engine, seen: Mapping[str, int | None]) -> dict[str, int | None]:
    """Record restarts since the last call, whose result is `seen`; returns the current counts. Raises UpstreamError."""
    starts = list(part_starts(release))
    with reachable(engine), engine.begin() as connection:
        for start in starts:
            if start.restarts != 0:
                record_restart(connection, start.part, start.at, start.restarts, seen.get(start.part))
    return {start.part: start.restarts for start in starts}


def part_starts(release: ReleaseSettings) -> Iterator[PartStart]:
    """Return the last start of every container of the stack, or of each supervisor program that was restarted."""
    if release.target == "docker":
        return _of_containers(release.project)
    if release.target == "process" and release.supervisor_socket:
        return _of_programs(release.supervisor_socket)
    return iter(())


def _of_containers(project: str) -> Iterator[PartStart]:
    from deposit.release.targets.docker import engine

    mine = {"label": f"com.docker.compose.project={project}"}
    with engine() as client:
        for container in client.containers.list(filters=mine, ignore_removed=True):
            # cut to seconds: the engine reports nanoseconds
            at = datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19]).replace(tzinfo=UTC)
            yield PartStart(container.name.removeprefix(f"{project}-"), at, container.attrs["RestartCount"])


def _of_programs(socket: str) -> Iterator[PartStart]:
    """Supervisor does not count restarts. A program with a stop time was restarted: a removed one loses it."""
    from deposit.release.targets.supervisor import Supervisor

    for program in Supervisor(socket).call("getAllProcessInfo"):
        if 0 < program["stop"] <= program["start"]:
            yield PartStart(program["name"], datetime.fromtimestamp(program["start"], UTC), None)
