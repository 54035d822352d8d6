"""What was restarted is counted in the table `events`, whoever counts it: an engine, or supervisor, which does not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from chaos import until
from sqlalchemy import Engine, text
from started import stack_environment, up

from deposit.database import connect, migrate, transaction
from deposit.deploy.layout import Layout
from deposit.deploy.local import lifecycle, processes, supervision
from deposit.deploy.local.doctor import examine
from deposit.deploy.local.programs import wanted_ports
from deposit.errors import ConfigError
from deposit.events import record_restart
from deposit.release.part_restarts import part_starts, record_restarts
from deposit.sections import DatabaseSettings

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def engine(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = connect(DatabaseSettings.model_validate({"url": make_database()}))
    migrate(engine)
    yield engine
    engine.dispose()


def _counted(engine: Engine, part: str) -> list[int]:
    """Of each hour's row."""
    asked = "SELECT (details ->> 'restarts')::int FROM events WHERE kind = 'restart' AND details ->> 'part' = :part"
    with engine.connect() as connection:
        return list(connection.scalars(text(f"{asked} ORDER BY id"), {"part": part}))


@pytest.mark.parametrize(
    ("totals", "counted"),
    [
        # what happened before anybody looked is not known to be new
        ([5, 5, 5], [1]),
        ([1, 2, 5], [5]),
        # a container that was made anew, and one that is not counted
        ([4, 1, 2], [3]),
        ([None, None], [2]),
    ],
)
def test_a_restart_counts_once(engine: Engine, totals: list[int | None], counted: list[int]) -> None:
    part, now = f"mlflow-{totals}", datetime.now(UTC).replace(microsecond=0)
    seen: dict[Any, datetime] = {}
    for look, total in enumerate(totals):
        at = seen.setdefault(look if total is None else total, now - timedelta(minutes=10 - look))
        for _ in range(2):
            with engine.begin() as connection:
                record_restart(connection, part, at, total, None)
    assert _counted(engine, part) == counted


def test_each_hour_has_a_row_and_one_long_ago_has_none(engine: Engine) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        record_restart(connection, "old", now - timedelta(hours=2), 7, None)
        record_restart(connection, "slow", now - timedelta(minutes=50), 1, 0)
        connection.execute(text("UPDATE events SET at = at - INTERVAL '2 hours' WHERE details ->> 'part' = 'slow'"))
        record_restart(connection, "slow", now, 2, 1)
        record_restart(connection, "quick", now, 4, 0)
    assert [_counted(engine, part) for part in ("old", "slow", "quick")] == [[], [1, 1], [4]]


def test_a_clock_that_was_set_back_begins_another_hour(engine: Engine) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        record_restart(connection, "jumped", now, 1, 0)
        connection.execute(text("UPDATE events SET at = at + INTERVAL '2 hours' WHERE details ->> 'part' = 'jumped'"))
        record_restart(connection, "jumped", now + timedelta(seconds=1), 2, 1)
    assert _counted(engine, "jumped") == [1, 1]


@pytest.fixture
def environment(free_ports: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of a stack without Docker."""
    with stack_environment(free_ports) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.usefixtures("environment")
def test_supervisors_restarts_are_seen_and_a_persons_are_not() -> None:
    stack = up(["postgres", "objectstore", "mlflow", "gateway"])
    place, engine = Layout(stack.state.root), connect(stack.database)
    assert list(part_starts(stack.release)) == []
    first = psutil.Process(supervision.supervisor(place).call("getProcessInfo", "mlflow")["pid"])
    left = first.children(recursive=True)
    first.kill()
    until(lambda: [start.part for start in part_starts(stack.release)] == ["mlflow"])
    # its child processes would answer in its place, and hold the port that the restarted server needs
    assert left
    until(lambda: not any(process.is_running() for process in left))
    until(lambda: processes.holder(int(urlsplit(stack.mlflow.tracking_uri or "").port or 0)) is not None)
    assert len(list(part_starts(stack.release))) == 1
    for _ in range(2):
        record_restarts(stack.release, engine, {})
    assert _counted(engine, "mlflow") == [1]
    engine.dispose()
    # as `deposit up` does where a part's settings have changed
    for call in ("stopProcessGroup", "removeProcessGroup", "addProcessGroup"):
        supervision.supervisor(place).call(call, "mlflow")
    supervision.start_program(place, "mlflow")
    assert list(part_starts(stack.release)) == []


@pytest.mark.usefixtures("environment")
def test_a_stack_whose_supervisor_was_killed_is_told_of_and_started_anew() -> None:
    parts = ["postgres", "objectstore", "gateway"]
    stack = up(parts)
    place = Layout(stack.state.root)
    with transaction(stack.database) as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 1"))
    before = {state["name"]: state["pid"] for state in supervision.states(place) if state["pid"]}
    psutil.Process(supervision.supervisor(place).call("getPID")).kill()
    until(lambda: not supervision.running(place))
    seen = {part.name: (part.state, part.pid) for part in lifecycle.status(stack)}
    # what writes to the supervisor's pipe ends at its next line
    assert seen["postgres"] == ("unsupervised", before["postgres"])
    assert seen["shipper"] == ("stopped", None)
    (told,) = [finding for finding in examine(stack) if finding.what == "parts"]
    assert not told.ok
    assert "the supervisor was killed" in told.detail
    with pytest.raises(ConfigError) as refused:  # as another clone learns of it
        processes.require_free(wanted_ports(stack.stack))
    assert f"the stack in {place.root} (its supervisor was killed)" in refused.value.whole
    again = up(parts)
    states = {part.name: part.state for part in lifecycle.status(again)}
    assert states["postgres"] == states["objectstore"] == "running"
    assert not psutil.pid_exists(before["postgres"])
    with transaction(again.database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM kept")) == 1
