"""Parts of the stack that ended by themselves and were started again, as the engine and supervisor know it.

Watched by the releaser, which alone may ask them. What it sees goes to the table `events`, so that nothing is forgotten
when the releaser itself is what ends.
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
    """When a part was started last, and how often it was restarted so far; None where that is not counted."""

    part: str
    at: datetime
    restarts: int | None


def watch_parts(release: ReleaseSettings, database: DatabaseSettings, stop: Event) -> None:
    """Record what was restarted, every minute until `stop` is set; what is down is logged once.

    On ECS and Lambda services are the platform's, which restarts and counts them.
    """
    log, engine = OnChange(partial(logger.warning, "%s")), connect(database)
    seen: dict[str, int | None] = {}
    while not stop.is_set():
        message = ""
        try:
            seen = record_restarts(release, engine, seen)
        except DepositError as error:
            message = f"restarts of parts are not seen: {error}"
        log(message)
        stop.wait(_EVERY_SECONDS)
    engine.dispose()


def record_restarts(release: ReleaseSettings, engine: Engine, seen: Mapping[str, int | None]) -> dict[str, int | None]:
    """One look; `seen` are the parts' restarts at the last one, returned are those of now. Raises UpstreamError."""
    starts = list(part_starts(release))
    with reachable(engine), engine.begin() as connection:
        for start in starts:
            if start.restarts != 0:
                record_restart(connection, start.part, start.at, start.restarts, seen.get(start.part))
    return {start.part: start.restarts for start in starts}


def part_starts(release: ReleaseSettings) -> Iterator[PartStart]:
    """Every container of the stack; of supervisor's programs those that it has started again."""
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
            # the engine gives nanoseconds
            at = datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19]).replace(tzinfo=UTC)
            yield PartStart(container.name.removeprefix(f"{project}-"), at, container.attrs["RestartCount"])


def _of_programs(socket: str) -> Iterator[PartStart]:
    """Supervisor counts none. It forgets a program that is taken off, so one that has an end was restarted."""
    from deposit.release.targets.supervisor import Supervisor

    for program in Supervisor(socket).call("getAllProcessInfo"):
        if 0 < program["stop"] <= program["start"]:
            yield PartStart(program["name"], datetime.fromtimestamp(program["start"], UTC), None)
