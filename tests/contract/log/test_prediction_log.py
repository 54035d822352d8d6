import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pytest

from deposit import tables
from deposit.data.columns import NAMES
from deposit.log import shipper
from deposit.log.entries import Entry

pytestmark = pytest.mark.servers

FIELDS = ", ".join(f'"{name.replace(".", "_")}"' for name in NAMES)
LONG_AGO = int(datetime(2008, 5, 5, 23, 59, 59, 999_999, tzinfo=UTC).timestamp() * 1_000_000)


def _days(log: Any) -> set[str]:
    return {name for (name,) in log.ask("SELECT inhrelid::regclass::text FROM pg_inherits")}


def _age(log: Any, days: int, where: str = "true") -> None:
    log.ask(f"UPDATE predictions SET stored_at = stored_at - make_interval(days => %s) WHERE {where}", days)


def _drop(log: Any, keep_days: int) -> None:
    shipper.predictions.maintain_partitions(log.writer, keep_days)


@pytest.mark.parametrize("table", tables.metadata.sorted_tables, ids=str)
def test_the_schema_is_what_the_code_believes(log: Any, table: Any) -> None:
    dialect = log_dialect()
    columns = log.ask(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        table.name,
    )
    names = {"BOOLEAN": "boolean", "REAL": "real"}
    expected = {
        column.name: (
            names.get(kind := column.type.compile(dialect), kind.lower().replace("varchar", "character varying")),
            not column.nullable,
        )
        for column in table.columns
    }
    assert {name: (kind, needed) for name, kind, needed in columns} == expected


def log_dialect() -> Any:
    from sqlalchemy.dialects import postgresql

    return postgresql.dialect()


def test_every_feature_has_a_column() -> None:
    assert {name.replace(".", "_") for name in NAMES} <= set(tables.predictions.columns.keys())


@pytest.mark.parametrize("ids", [None, ["a", "ü" * 128, ""], [1, -(2**63), 2**63 - 1], ["x\ty", "\\N", 'a"b;,\n']])
def test_a_scored_request_is_stored_bit_for_bit(log: Any, scored: Callable[..., Any], ids: Any) -> None:
    request = scored(3, ids=ids, event_time=LONG_AGO)
    log.append(request)
    log.ship()
    stored = log.ask(
        f"SELECT prediction_id, customer_id, probability, subscribes, event_time, request_id, model_id, threshold,"
        f" latency_ms, client, {FIELDS} FROM predictions"
    )
    by_id = {row[0].bytes: row[1:] for row in stored}
    assert len(by_id) == 3
    for number, customer in enumerate(json.loads(request.body)["customers"]):
        row = by_id[request.prediction_ids[16 * number : 16 * number + 16]]
        probability = request.probabilities[number]
        identity = None if ids is None else str(ids[number])
        head = (identity, probability, probability >= 0.3, datetime(2008, 5, 5, 23, 59, 59, 999_999, tzinfo=UTC))
        assert row[:9] == (*head, "r-1", "deposit-v7", 0.3, 1.5, "marketing")
        assert list(row[9:]) == [customer[name] for name in NAMES]


def test_a_ranked_block_is_stored_bit_for_bit(log: Any, ranked: Callable[..., Any]) -> None:
    ids = [None, "", "plain", 'q"uo;te,d', "line\nbreak", "\\N", "ü", " x "] * 500
    block = ranked(4000, ids)
    log.append(block)
    log.ship()
    table = pa.ipc.open_stream(block.table).read_all()
    sent = {
        row["prediction_id"]: (row["id"], row["probability"], row["probability"] >= 0.3, *(row[n] for n in NAMES))
        for row in table.to_pylist()
    }
    query = f"SELECT prediction_id, customer_id, probability, subscribes, {FIELDS} FROM predictions"
    assert {row[0].bytes: row[1:] for row in log.ask(query)} == sent
    assert log.ask("SELECT DISTINCT request_id, client, latency_ms FROM predictions") == [("r-2", "marketing", 250.0)]


def test_a_character_that_postgresql_cannot_hold_loses_no_prediction(
    log: Any, scored: Callable[..., Any], ranked: Callable[..., Any]
) -> None:
    log.append(scored(1, ids=["a\0b"]), ranked(2, ["c\0d", None]))
    log.ship()
    assert {id_ for (id_,) in log.ask("SELECT customer_id FROM predictions")} == {"a�b", "c�d", None}


def test_shipping_twice_stores_once(log: Any, scored: Callable[..., Any], ranked: Callable[..., Any]) -> None:
    contents = [scored(3), ranked(50), scored(1)]
    for _ in range(2):
        log.append(*contents)
        log.ship()
    log.append(*contents, *contents)
    log.ship()
    assert log.count() == 54
    assert log.spool.state().entries == 0


def test_one_entry_that_cannot_be_stored_stops_no_other(
    log: Any, scored: Callable[..., Any], ranked: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    good = [scored(1) for _ in range(5)] + [ranked(10)]
    bad = [
        scored(1, age=40_000),  # no smallint
        scored(1, age="old"),
        scored(1, event_time=2**60),  # far from today
        scored(1, event_time=2**63 - 1),  # in no calendar
        ranked(3, age=pa.array([17, 70_000, 18])),
        ranked(3, job=None),
        ranked(1, [os.urandom(20_000).hex()]),  # too long for the index
        msgspec.structs.replace(scored(1), body=b"{"),
        msgspec.structs.replace(scored(2), prediction_ids=b"0" * 16),
        ranked(3, prediction_id=pa.array([b"0" * 16, None, b"1" * 16], pa.binary(16))),
    ]
    for number, content in enumerate(bad):
        log.append(content, good[number % len(good)])
    log.spool.append([Entry("scored", 1, 0.0, b"\xc1"), Entry("unheard", 1, 0.0, b"")])
    log.ship()
    assert log.count() == 5 + 10
    assert log.spool.state().entries == 0
    assert caplog.text.count("is set aside") == len(bad) + 2


def test_what_was_set_aside_is_tried_again_when_asked(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(1))
    ((seq, _),) = log.spool.read(1)
    log.spool.set_aside(seq, "an older version could not read it")
    log.ship()
    assert log.count() == 0
    assert log.spool.restore() == 1
    log.ship()
    assert log.count() == 1


def test_days_are_made_ahead_and_on_demand(log: Any, scored: Callable[..., Any]) -> None:
    today = datetime.now(UTC).date()
    ahead = {f"predictions_{today + timedelta(days):%Y%m%d}" for days in range(8)}
    assert ahead <= _days(log)
    log.append(scored(1, event_time=LONG_AGO), scored(1, event_time=LONG_AGO + 1))
    log.ship()
    assert log.ask("SELECT DISTINCT tableoid::regclass::text FROM predictions ORDER BY 1") == [
        ("predictions_20080505",),
        ("predictions_20080506",),
    ]


def test_a_day_that_was_detached_is_used_again(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    log.ask("ALTER TABLE predictions DETACH PARTITION predictions_20080505")
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    assert log.count() == 2


def test_no_partition_hides_a_missing_one(log: Any) -> None:
    assert log.ask("SELECT partdefid FROM pg_partitioned_table WHERE partrelid = 'predictions'::regclass") == [(0,)]


def test_days_are_made_while_somebody_reads(log: Any, scored: Callable[..., Any]) -> None:
    with psycopg.connect(log.addresses.reader) as reader:
        reader.execute("SELECT count(*) FROM predictions")
        log.writer.execute("SET lock_timeout = '5s'")
        log.append(scored(1, event_time=LONG_AGO - 400 * 86_400_000_000))
        log.ship()
        assert reader.execute("SELECT count(*) FROM predictions").fetchone() == (1,)


def test_retention_drops_a_day_once_all_of_it_was_stored_long_ago(log: Any, scored: Callable[..., Any]) -> None:
    replayed, half, old = (LONG_AGO + days * 86_400_000_000 for days in (0, 10, 20))
    log.append(scored(2, event_time=replayed), scored(2, event_time=half), scored(2, event_time=old), scored(1))
    log.ship()
    _age(log, 31, "event_time > '2008-05-20' AND event_time < '2009-01-01'")
    ((first,),) = log.ask("SELECT min(prediction_id::text) FROM predictions WHERE event_time::date = '2008-05-15'")
    _age(log, 31, f"prediction_id = '{first}'")
    _drop(log, 30)
    assert log.ask("SELECT event_time::date, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [
        (date(2008, 5, 5), 2),
        (date(2008, 5, 15), 2),
        (datetime.now(UTC).date(), 1),
    ]
    assert "predictions_20080525" not in _days(log)
    assert f"predictions_{datetime.now(UTC):%Y%m%d}" in _days(log)


@pytest.mark.parametrize("avoided", [("nestloop",), ("nestloop", "hashjoin"), ("indexscan",)], ids="-".join)
def test_old_days_are_dropped_by_any_plan(log: Any, scored: Callable[..., Any], avoided: tuple[str, ...]) -> None:
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    _age(log, 31)
    for path in avoided:
        log.writer.execute(f"SET enable_{path} = off")
    _drop(log, 30)
    assert log.count() == 0


def test_without_a_retention_everything_stays(log: Any, scored: Callable[..., Any]) -> None:
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    _age(log, 10_000)
    shipper.predictions.maintain_partitions(log.writer, None)
    assert log.count() == 1


def test_an_old_day_in_use_is_dropped_later(
    log: Any, scored: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    log.append(scored(1, event_time=LONG_AGO))
    log.ship()
    _age(log, 31)
    with psycopg.connect(log.addresses.reader) as reader:
        reader.execute("SELECT count(*) FROM predictions")
        _drop(log, 30)
    assert "in use" in caplog.text
    assert log.count() == 1
    _drop(log, 30)
    assert log.count() == 0


def test_old_outcomes_go_with_the_predictions(log: Any, stated: Callable[..., Any]) -> None:
    now = datetime.now(UTC)
    log.append(stated((uuid.uuid4(), True, None), (uuid.uuid4(), False, None), received=now))
    log.ship()
    log.ask("UPDATE outcomes SET stored_at = stored_at - interval '31 days' WHERE subscribed")
    _drop(log, 30)
    assert log.ask("SELECT subscribed FROM outcomes") == [(False,)]
