import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from chaos import Postgres, Shipper, until

from deposit.log.entries import ScoredRequest, encode_entry
from deposit.log.spool import Spool
from deposit.settings import Settings

pytestmark = pytest.mark.servers
ENTRIES, KILLS = 300, 3
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deposit shipper' AND wait_event_type = 'Lock'"
    ' AND query LIKE \'COPY "public"."predictions"%\''
)


def _append(spool: Spool, customers: list[dict[str, Any]], count: int) -> set[str]:
    ids = [uuid.uuid4() for _ in range(count)]
    for number, prediction_id in enumerate(ids):
        request = ScoredRequest(
            request_id=str(number),
            client="test",
            model_id="deposit-v7",
            threshold=0.5,
            event_time=time.time_ns() // 1000,
            latency_ms=1.0,
            prediction_ids=prediction_id.bytes,
            probabilities=[0.25],
            body=json.dumps({"customers": [customers[number]]}).encode(),
        )
        spool.append([encode_entry(request, 1)])
    return {str(prediction_id) for prediction_id in ids}


def test_killed_between_copy_and_commit_or_before_the_spool_forgets_it_ships_each_row_once(
    server: Postgres,
    settings: Settings,
    shipper: Shipper,
    spool: Spool,
    drained: Callable[[], None],
    customers: list[dict[str, Any]],
) -> None:
    sent = _append(spool, customers, 10)
    with shipper.running():
        drained()  # the days' partitions are made
    sent |= _append(spool, customers, ENTRIES)
    with server.connect() as watcher, server.connect() as blocker:

        def waits() -> bool:
            return bool(watcher.execute(_WAITING).fetchone()[0])

        for _ in range(KILLS):
            blocker.execute("BEGIN; LOCK TABLE predictions IN SHARE MODE")
            shipper.start()
            until(waits)
            shipper.kill()
            blocker.execute("ROLLBACK")
            assert spool.state().rows == ENTRIES
            assert len(server.stored()) == 10
        for _ in range(KILLS):
            blocker.execute("BEGIN; LOCK TABLE predictions IN SHARE MODE")
            shipper.start()
            until(waits)
            held = sqlite3.connect(settings.spool_path, isolation_level=None)
            held.execute("BEGIN IMMEDIATE")
            blocker.execute("ROLLBACK")
            until(lambda: len(server.stored()) == 10 + ENTRIES and not waits())
            shipper.kill()
            held.execute("ROLLBACK")
            held.close()
            assert spool.state().rows == ENTRIES
    with shipper.running():
        drained()
    stored = server.stored()
    assert set(stored) == sent
    assert set(stored.values()) == {1}
