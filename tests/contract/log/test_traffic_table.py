import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from deposit.log import shipper
from deposit.log.entries import Traffic, TrafficCount, microseconds
from deposit.log.predictions import maintain_partitions

pytestmark = pytest.mark.servers

NOW = datetime.now(UTC)
COUNTS = [
    TrafficCount("/predict", 200, "marketing", "deposit-v7", 1.5, [0.001, 0.25], [2, 5]),
    TrafficCount("unknown", 404, "", "", 100.5, [100.0, math.inf], [1, 1]),
]
READ = (
    "SELECT at, instance, route, status, client, model_id, requests, seconds, latency_upto, latency_count FROM traffic"
)


def test_counts_become_rows_once_however_often_they_are_shipped(log: Any) -> None:
    counted = Traffic("one-1", microseconds(NOW), COUNTS)
    log.append(counted, counted, Traffic("two-1", microseconds(NOW), COUNTS[:1]))
    log.ship()
    log.append(counted)
    log.ship()
    first = (NOW, "one-1", "/predict", 200, "marketing", "deposit-v7", 7, 1.5, [0.001, 0.25], [2, 5])
    assert log.ask(f"{READ} ORDER BY instance, route") == [
        first,
        (NOW, "one-1", "unknown", 404, "", "", 2, 100.5, [100.0, math.inf], [1, 1]),
        (NOW, "two-1", *first[2:]),
    ]
    assert log.spool.state()[:2] == (0, 0)


def test_what_cannot_be_is_set_aside_and_holds_up_no_prediction(log: Any, scored: Callable[..., Any]) -> None:
    wrong = TrafficCount("/predict", 200, "marketing", "", 1.0, [0.001], [2, 5])
    far = TrafficCount("/predict", 99_999, "marketing", "", 1.0, [0.001], [2])
    log.append(scored(1), Traffic("one-1", 0, [wrong]), Traffic("one-1", 1, [far]), scored(1))
    log.ship()
    assert log.count("traffic") == 0
    assert log.count() == 2
    assert log.spool.state().entries == 0
    assert log.spool.state().aside_rows == 2


def test_the_shipper_tells_of_the_spool(log: Any, scored: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "_STATE_SECONDS", 0.05)
    stop = threading.Event()
    log.append(scored(3), Traffic("one-1", microseconds(NOW), COUNTS))
    running = threading.Thread(target=shipper.run, args=(log.settings, stop))
    running.start()
    try:
        deadline = time.monotonic() + 30
        while log.count("spool_states") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()
        running.join()
    ((rows, entries, oldest, size, aside, shipped),) = log.ask(
        "SELECT rows, entries, oldest_seconds, bytes, aside_rows, shipped_rows"
        " FROM spool_states ORDER BY at DESC LIMIT 1"
    )
    assert (rows, entries, oldest, aside, shipped) == (0, 0, 0, 0, 5)
    assert size > 0


def test_old_traffic_goes_with_the_predictions(log: Any) -> None:
    old = NOW - timedelta(days=31)
    log.append(*(Traffic("one-1", microseconds(at), COUNTS) for at in (NOW, old)))
    log.ship()
    for at in (NOW, old):
        log.ask("INSERT INTO spool_states VALUES (%s, 0, 0, 0, 0, 0, 0)", at)
    maintain_partitions(log.writer, None)
    assert (log.count("traffic"), log.count("spool_states")) == (4, 2)
    maintain_partitions(log.writer, 30)
    assert log.ask("SELECT DISTINCT at FROM traffic UNION SELECT at FROM spool_states") == [(NOW,)]


@pytest.mark.parametrize("table", ["traffic", "spool_states"])
@pytest.mark.parametrize("statement", ["SELECT 1 FROM {}", "UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_writer_may_only_add(log: Any, table: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        log.writer.execute(statement.format(table))


@pytest.mark.parametrize("keep", ["0", "-1", "NULL"])
def test_the_writer_cannot_drop_what_is_new(log: Any, keep: str) -> None:
    with pytest.raises(psycopg.DataError):
        log.writer.execute(f"SELECT public.drop_old_traffic({keep})")


def test_only_the_writer_drops(log: Any) -> None:
    with psycopg.connect(log.addresses.reader) as reader:
        reader.execute("SELECT * FROM traffic, spool_states")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT public.drop_old_traffic(30)")
