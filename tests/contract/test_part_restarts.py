"""What was restarted is counted in the table `events`, whoever counts it: an engine, or supervisor, which does not."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from chaos import until
from sqlalchemy import Engine, text
from started import stack_environment, up

from deposit.database import connect, migrate
from deposit.deploy.layout import Layout
from deposit.deploy.local import supervision
from deposit.events import record_restart
from deposit.release.part_restarts import part_starts, record_restarts
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

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


@pytest.fixture
def stack(free_ports: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A stack without Docker, without Airflow and releaser."""
    with stack_environment(free_ports) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield up(["postgres", "objectstore", "mlflow", "gateway"])


def test_supervisors_restarts_are_seen_and_a_persons_are_not(stack: Settings) -> None:
    place, engine = Layout(stack.state.root), connect(stack.database)
    assert list(part_starts(stack.release)) == []
    first = supervision.supervisor(place).call("getProcessInfo", "mlflow")
    psutil.Process(first["pid"]).kill()
    until(lambda: [start.part for start in part_starts(stack.release)] == ["mlflow"])
    for _ in range(2):
        record_restarts(stack.release, engine, {})
    assert _counted(engine, "mlflow") == [1]
    engine.dispose()
    # as `deposit up` does where a part's settings have changed
    for call in ("stopProcessGroup", "removeProcessGroup", "addProcessGroup"):
        supervision.supervisor(place).call(call, "mlflow")
    supervision.start_program(place, "mlflow")
    assert list(part_starts(stack.release)) == []
