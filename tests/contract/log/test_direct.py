"""The log without a spool, in a real PostgreSQL, by the role that may only add."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from deposit.errors import ConfigError, LogError
from deposit.log.destination import prediction_log
from deposit.log.direct import DatabaseLog
from deposit.log.entries import ReportedOutcome, ReportedOutcomes, Traffic, TrafficCount, encode_entry
from deposit.log.writer import connector
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers
TABLES = {
    "predictions": "prediction_id",
    "outcomes": "prediction_id",
    "traffic": "route",
    "predictions_by_minute": "minute",
    "latencies_by_minute": "minute",
}


class Counted:
    """Opens connections, and keeps them for a look."""

    def __init__(self, settings: DatabaseSettings, timeout: float) -> None:
        self._connect = connector(settings, timeout)
        self.opened: list[Any] = []

    def __call__(self) -> Any:
        self.opened.append(self._connect())
        return self.opened[-1]


@pytest.fixture
def connect(log: Any) -> Counted:
    return Counted(log.settings.database, 0.5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def direct(connect: Counted, clock: Clock) -> Iterator[DatabaseLog]:
    made = DatabaseLog(connect, clock)
    yield made
    made.close()


def _contents(log: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, but for what says when and in which order they were stored."""
    own = "to_jsonb(t) - 'stored_at' - 'id'"
    return {
        name: log.ask(f"SELECT {own} FROM {name} t ORDER BY {order}, {own}::text") for name, order in TABLES.items()
    }


def test_it_stores_what_the_shipper_would(
    log: Any, direct: DatabaseLog, scored: Callable[..., Any], ranked: Callable[..., Any]
) -> None:
    requests = [scored(3, ids=[1, "zwei", None]), ranked(4)]
    identity = requests[0].prediction_ids[:16].hex()
    identity = f"{identity[:8]}-{identity[8:12]}-{identity[12:16]}-{identity[16:20]}-{identity[20:]}"
    now = requests[0].event_time
    requests += [
        ReportedOutcomes("r-2", "marketing", now, [ReportedOutcome(identity, True, None)]),
        Traffic("here", now, [TrafficCount("/predict", 200, "marketing", "deposit-v7", 0.2, [0.1, 0.2], [3, 1])]),
    ]
    direct.append([encode_entry(content, 1) for content in requests])
    stored = _contents(log)
    assert len(stored["predictions"]) == 7
    assert all(stored.values())
    # the same by the other way adds nothing
    log.append(*requests)
    log.ship()
    assert _contents(log) == stored
    log.ask(f"TRUNCATE {', '.join(TABLES)}")
    log.append(*requests)
    log.ship()
    assert _contents(log) == stored


def test_one_connection_serves_for_ever(direct: DatabaseLog, connect: Counted, scored: Callable[..., Any]) -> None:
    assert connect.opened == []
    for _ in range(3):
        direct.append([encode_entry(scored(2), 2)])
    assert len(connect.opened) == 1
    assert direct.state()[:4] == (0, 0, None, 6)


def test_a_connection_that_died_in_a_freeze_is_replaced_once(
    log: Any, direct: DatabaseLog, connect: Counted, scored: Callable[..., Any]
) -> None:
    direct.append([encode_entry(scored(1), 1)])
    with psycopg.connect(log.addresses.superuser, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connect.opened[0].info.backend_pid])
    direct.append([encode_entry(scored(1), 1)])
    assert len(connect.opened) == 2
    assert log.count() == 2


def test_a_server_that_is_away_is_asked_again_after_a_pause(
    log: Any, connect: Counted, clock: Clock, scored: Callable[..., Any]
) -> None:
    tries = []

    def second_time() -> Any:
        tries.append(clock.now)
        if len(tries) == 1:
            raise psycopg.OperationalError("connection refused")
        return connect()

    direct = DatabaseLog(second_time, clock)
    for clock.now, problem in ((0.0, "does not accept the prediction log"), (1.9, "did not accept .* a moment ago")):
        with pytest.raises(LogError, match=problem):
            direct.append([encode_entry(scored(1), 1)])
    clock.now = 2.0
    direct.append([encode_entry(scored(1), 1)])
    direct.close()
    assert (tries, log.count()) == ([0.0, 2.0], 1)


def test_a_statement_that_takes_too_long_is_given_up_and_leaves_nothing(
    log: Any, direct: DatabaseLog, clock: Clock, scored: Callable[..., Any]
) -> None:
    direct.append([encode_entry(scored(1), 1)])
    with psycopg.connect(log.addresses.owner) as other:
        other.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LogError, match="QueryCanceled"):
            direct.append([encode_entry(scored(1), 1)])
        other.rollback()
    clock.now = 2.0
    direct.append([encode_entry(scored(1), 1)])
    assert log.count() == 2


def test_what_postgresql_refuses_is_an_error_without_a_word_of_the_customers(
    log: Any, direct: DatabaseLog, scored: Callable[..., Any]
) -> None:
    far = 4_000_000_000_000_000  # in 2096
    with pytest.raises(LogError) as caught:
        direct.append([encode_entry(scored(1, event_time=far, ids=["Ms Secret"]), 1)])
    assert "Secret" not in str(caught.value)
    assert log.count() == 0


@pytest.mark.parametrize(
    ("url", "problem"),
    [(None, "is not set"), ("sqlite:///x", "must name a PostgreSQL"), ("postgresql://[", "is not the URL")],
)
def test_an_address_that_is_none_is_refused_at_the_start(url: str | None, problem: str) -> None:
    settings = Settings(database=DatabaseSettings(writer_url=url)).changed("log", destination="database")
    with pytest.raises(ConfigError, match=f"DEPOSIT_DATABASE__WRITER_URL {problem}"):
        prediction_log(settings)
