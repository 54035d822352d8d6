import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg.errors import InsufficientPrivilege

from deposit import database, tables
from deposit.log.entries import Traffic, TrafficCount
from deposit.log.predictions import maintain_partitions
from deposit.sections import DatabaseSettings

pytestmark = pytest.mark.servers

DAY = 86_400_000_000
MOMENT = int(datetime(2008, 5, 5, 23, 59, 59, 999_999, tzinfo=UTC).timestamp() * 1_000_000)
COUNTED = "SELECT minute, model_id, client, subscribes, rows, round(probability_sum::numeric, 9)"
TRUTH = """
SELECT date_trunc('minute', event_time), model_id, client, subscribes, count(*), round(sum(probability)::numeric, 9)
FROM predictions GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
LATENCIES = "SELECT minute, route, client, model_id, upto, requests FROM latencies_by_minute ORDER BY 1, 2, 3, 4, 5"
TRUE_LATENCIES = """
SELECT date_trunc('minute', at), route, client, model_id, upto, sum(number)::bigint
FROM traffic, unnest(latency_upto, latency_count) AS bucket (upto, number)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""


def _counted(log: Any) -> list[tuple[Any, ...]]:
    counts: list[tuple[Any, ...]] = log.ask(f"{COUNTED} FROM predictions_by_minute ORDER BY 1, 2, 3, 4")
    return counts


def test_what_is_counted_is_what_is_stored_however_often_it_is_shipped(
    log: Any, scored: Callable[..., Any], ranked: Callable[..., Any]
) -> None:
    contents = [scored(3, event_time=MOMENT), scored(4, event_time=MOMENT + 1), scored(5, event_time=MOMENT + DAY)]
    contents += [ranked(50), scored(1)]
    for _ in range(2):
        log.append(*contents, scored(2, event_time=MOMENT))
        log.ship()
    log.append(*contents, *contents)
    log.ship()
    assert _counted(log) == log.ask(TRUTH)
    assert sum(row[4] for row in _counted(log)) == 67


def test_latencies_are_counted_as_traffic_is_reported(log: Any) -> None:
    counts = [
        TrafficCount("/predict", 200, "marketing", "deposit-v7", 1.5, [0.001, 0.25], [2, 5]),
        TrafficCount("/predict", 422, "marketing", "deposit-v7", 1.5, [0.25, math.inf], [1, 1]),
        TrafficCount("unknown", 404, "", "", 100.5, [math.inf], [1]),
    ]
    for moment in (MOMENT - 10_000_000, MOMENT, MOMENT, MOMENT + 1):
        log.append(Traffic("one-1", moment, counts))
        log.ship()
    assert log.ask(LATENCIES) == log.ask(TRUE_LATENCIES)
    assert [row[-1] for row in log.ask(LATENCIES)] == [4, 12, 2, 2, 2, 6, 1, 1]
    maintain_partitions(log.writer, 30)
    assert log.ask(LATENCIES) == []


def test_an_entry_that_cannot_be_stored_is_not_counted(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(2, event_time=MOMENT), scored(1, event_time=MOMENT, age=40_000))
    log.ship()
    assert _counted(log) == log.ask(TRUTH)
    assert sum(row[4] for row in _counted(log)) == 2


def test_the_counts_of_a_day_go_with_it(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(2, event_time=MOMENT), scored(2, event_time=MOMENT + DAY), scored(1))
    log.ship()
    log.ask("UPDATE predictions SET stored_at = stored_at - interval '31 days' WHERE event_time < '2008-05-06'")
    maintain_partitions(log.writer, 30)
    assert log.count() == 3
    assert _counted(log) == log.ask(TRUTH)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM predictions_by_minute",
        "INSERT INTO predictions_by_minute VALUES (now(), 'x', 'x', true, 1, 1)",
        "UPDATE predictions_by_minute SET rows = 0",
        "DELETE FROM predictions_by_minute",
        "ALTER TABLE predictions DISABLE TRIGGER predictions_counted",
        "SELECT public.count_predictions()",
        "SELECT public.count_traffic()",
        "INSERT INTO latencies_by_minute VALUES (now(), 'x', 'x', 'x', 1, 1)",
        "ALTER TABLE traffic DISABLE TRIGGER traffic_counted",
    ],
)
def test_the_writer_has_no_rights_over_the_counts(log: Any, scored: Callable[..., Any], statement: str) -> None:
    log.append(scored(1))
    log.ship()
    with pytest.raises(InsufficientPrivilege):
        log.writer.execute(statement)
    with psycopg.connect(log.addresses.reader) as reader:
        assert reader.execute("SELECT sum(rows) FROM predictions_by_minute").fetchone() == (1,)


def test_the_migration_counts_what_was_there_and_can_be_taken_back(
    make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]
) -> None:
    addresses = make_log_database(make_database(), "before")
    engine = database.connect(DatabaseSettings(url=addresses.owner))
    with engine.begin() as connection:
        config = database.revisions(connection)
        command.downgrade(config, "0005")
        connection.exec_driver_sql("SELECT make_prediction_days('{2008-05-05}')")
        columns = [column for column in tables.predictions.columns if column.server_default is None]
        named = ", ".join(f'"{column.name}"' for column in columns)
        example: dict[str, str] = {
            "UUID": "gen_random_uuid()", "TIMESTAMP WITH TIME ZONE": "'2008-05-05 10:00:30Z'", "BOOLEAN": "false",
            "TEXT": "'x'",
        }  # fmt: skip
        values = ", ".join(example.get(column.type.compile(engine.dialect), "0.5") for column in columns)
        connection.exec_driver_sql(f"INSERT INTO predictions ({named}) SELECT {values} FROM generate_series(1, 7)")
        command.upgrade(config, "head")
        rows = connection.exec_driver_sql("SELECT * FROM predictions_by_minute").all()
    engine.dispose()
    assert rows == [(datetime(2008, 5, 5, 10, 0, tzinfo=UTC), "x", "x", False, 7, 3.5)]
