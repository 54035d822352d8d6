from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

pytestmark = pytest.mark.servers

LONG_AGO = 1_200_000_000_000_000


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM datasets",
        "SELECT 1 FROM releases",
        "SELECT 1 FROM archives",
        "SELECT 1 FROM events",
        "SELECT 1 FROM timeline",
        "INSERT INTO events (kind, model_id) VALUES ('x', 'x')",
        "SELECT 1 FROM rejects",
        "SELECT 1 FROM alembic_version",
        "SELECT 1 FROM predictions",
        "SELECT 1 FROM predictions_20080110",
        "SELECT client FROM outcomes",
        "SELECT 1 FROM daily_outcomes",
        "SELECT 1 FROM current_outcomes",
        "INSERT INTO releases (kind) VALUES ('x')",
        "INSERT INTO predictions_20080110 (client) VALUES ('x')",
        "UPDATE predictions SET probability = 1",
        "DELETE FROM predictions",
        "DELETE FROM outcomes",
        "UPDATE outcomes SET subscribed = true",
        "TRUNCATE predictions",
        "DROP TABLE predictions_20080110",
        "CREATE TABLE mine (a int)",
        "CREATE TABLE predictions_20080111 PARTITION OF predictions FOR VALUES FROM ('2008-01-11') TO ('2008-01-12')",
        "CREATE OR REPLACE FUNCTION make_prediction_days(days date[]) RETURNS void LANGUAGE sql AS 'SELECT'",
        "ALTER FUNCTION make_prediction_days SECURITY INVOKER",
        "SET ROLE log_owner",
    ],
)
def test_the_writer_may_add_to_the_log_and_nothing_else(log: Any, scored: Callable[..., Any], statement: str) -> None:
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    with pytest.raises(InsufficientPrivilege):
        log.writer.execute(statement)


def test_the_writer_cannot_lead_the_functions_astray(log: Any) -> None:
    log.writer.execute("CREATE TEMP TABLE predictions (stored_at timestamptz)")
    log.writer.execute("CREATE TEMP TABLE pg_inherits (inhparent oid, inhrelid oid)")
    log.writer.execute("SELECT public.make_prediction_days('{2008-01-12}')")
    assert log.ask("SELECT relkind FROM pg_class WHERE relname = 'predictions_20080112'") == [("r",)]
    log.writer.execute("DROP TABLE pg_temp.predictions, pg_temp.pg_inherits")


@pytest.mark.parametrize("days", ["'{1969-12-31}'", "ARRAY[current_date + 400]", "'{infinity}'"])
def test_the_writer_cannot_make_days_that_no_prediction_has(log: Any, days: str) -> None:
    with pytest.raises(psycopg.DataError):
        log.writer.execute(f"SELECT public.make_prediction_days({days})")


@pytest.mark.parametrize("function", ["drop_prediction_day", "drop_old_outcomes"])
@pytest.mark.parametrize("keep", ["0", "-1", "NULL"])
def test_the_writer_cannot_drop_what_is_new(log: Any, function: str, keep: str) -> None:
    with pytest.raises(psycopg.DataError):
        log.writer.execute(f"SELECT public.{function}({keep})")


@pytest.mark.parametrize(
    "function", ["make_prediction_days('{2008-01-13}')", "drop_prediction_day(30)", "drop_old_outcomes(30)"]
)
def test_the_functions_are_for_the_writer_only(log: Any, function: str) -> None:
    with psycopg.connect(log.addresses.reader) as reader, pytest.raises(InsufficientPrivilege):
        reader.execute(f"SELECT public.{function}")


def test_the_reader_sees_every_table_and_days_made_later(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(1, event_time=LONG_AGO + 5 * 86_400_000_000))
    log.ship()
    with psycopg.connect(log.addresses.reader) as reader:
        for table in (
            "predictions",
            "predictions_20080115",
            "outcomes",
            "current_outcomes",
            "daily_outcomes",
            "datasets",
            "releases",
            "events",
            "timeline",
        ):
            reader.execute(f"SELECT * FROM {table}")
        with pytest.raises(InsufficientPrivilege):
            reader.execute("DELETE FROM predictions")
