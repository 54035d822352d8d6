"""A task on Fargate ends and its disk goes with it: real services and shippers, each task with a disk of its own."""

import json
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import pytest
from chaos import Load, Postgres, Shipper, until

from deposit.log.entries import ScoredRequest, encode_entry
from deposit.log.spool import Spool
from deposit.sections import LogSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import Bucket, ObjectStore, split_uri

pytestmark = pytest.mark.servers
_WAITING: LiteralString = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deposit shipper' AND wait_event_type = 'Lock'"
)


@pytest.fixture
def task(server: Postgres, object_store: StoreSettings, tmp_path: Path) -> Callable[..., Any]:
    """Settings of a task with an empty disk, gone after the block; all tasks share one folder of the object store."""
    uri = f"s3://{object_store.bentos_bucket}/spool-{secrets.token_hex(4)}/"

    @contextmanager
    def run(stop_seconds: float = 1) -> Iterator[Settings]:
        folder = tmp_path / f"task-{secrets.token_hex(4)}"
        folder.mkdir()
        log = LogSettings(stop_seconds=stop_seconds, handover_uri=uri)
        yield Settings(state_dir=folder, database=server.settings, store=object_store, log=log)
        shutil.rmtree(folder)

    return run


def _left(settings: Settings) -> tuple[Bucket, list[str]]:
    """What shippers have left in the object store."""
    assert settings.log.handover_uri is not None
    bucket, prefix = split_uri(settings.log.handover_uri)
    objects = ObjectStore(settings.store).bucket(bucket)
    return objects, objects.keys(prefix)


def _append(spool: Spool, customers: list[dict[str, Any]], count: int) -> set[str]:
    ids = [uuid.uuid4() for _ in range(count)]
    entries = [
        encode_entry(
            ScoredRequest(
                request_id=str(number),
                client="test",
                model_id="deposit-v7",
                threshold=0.5,
                event_time=time.time_ns() // 1000,
                latency_ms=1.0,
                prediction_ids=prediction_id.bytes,
                probabilities=[0.25],
                body=json.dumps({"customers": [customers[number]]}).encode(),
            ),
            1,
        )
        for number, prediction_id in enumerate(ids)
    ]
    spool.append(entries)
    return {str(prediction_id) for prediction_id in ids}


def test_a_task_stopped_while_postgresql_is_away_leaves_all_to_the_next_one(
    server: Postgres, task: Callable[..., Any], serve: Callable[[Settings], Any], put_load: Callable[[int], Load]
) -> None:
    with task() as settings:
        shipper = Shipper(settings)
        # stopped in the order that the ECS takes: the service, then the shipper
        with shipper.running(), serve(settings) as service, put_load(service.port) as load:
            load.until_more(50)
            server.crash()
            load.until_more(50)
        assert len(_left(settings)[1]) >= 1
    assert load.broken == 0
    server.start()
    before = server.stored()
    assert not set(load.answered) <= set(before)
    with task() as settings:
        shipper = Shipper(settings)
        with shipper.running():
            until(lambda: set(load.answered) <= set(server.stored()))
            until(lambda: _left(settings)[1] == [])
    assert set(server.stored().values()) == {1}


def test_what_postgresql_takes_in_time_is_not_left(
    server: Postgres, task: Callable[..., Any], customers: list[dict[str, Any]]
) -> None:
    with task(stop_seconds=30) as settings:
        shipper, spool = Shipper(settings), Spool.of(settings)
        with server.connect() as blocker, shipper.running():
            until(lambda: _count(server, "SELECT count(*) FROM spool_states") > 0)
            blocker.execute("BEGIN; LOCK TABLE predictions IN SHARE MODE")
            first = _append(spool, customers, 10)
            until(lambda: _count(server, _WAITING) > 0)
            second = _append(spool, customers, 500)
            shipper.terminate()
            blocker.execute("ROLLBACK")
            shipper.wait()
            assert set(server.stored()) == first | second
            assert _left(settings)[1] == []
        spool.close()


def test_a_spool_is_left_in_time_while_postgresql_stays_away(
    server: Postgres, task: Callable[..., Any], customers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is lost with its disk during an outage must not take the whole outage with it."""
    from threading import Event, Thread

    from deposit.log import shipper

    monkeypatch.setattr(shipper, "_OUTAGE_SECONDS", 0.0)
    with task() as settings:
        server.crash()
        spool, stop = Spool.of(settings), Event()
        sent = _append(spool, customers, 20)
        thread = Thread(target=shipper.run, args=(settings, stop))
        thread.start()
        until(lambda: spool.state().entries == 0)
        # lost here: nothing more comes from this task
        server.start()
        stop.set()
        thread.join()
        spool.close()
    with task() as settings, Shipper(settings).running():
        until(lambda: set(server.stored()) == sent)
    assert set(server.stored().values()) == {1}


def test_killed_between_rows_and_removal_nothing_is_stored_twice(
    server: Postgres, task: Callable[..., Any], customers: list[dict[str, Any]]
) -> None:
    with task(stop_seconds=0) as settings:
        spool = Spool.of(settings)
        sent = _append(spool, customers, 30)
        server.crash()
        _stopped_in_outage(settings)
        bucket, keys = _left(settings)
        assert len(keys) == 1
        content = bucket.get(keys[0])
        spool.close()
    server.start()
    with task() as settings, Shipper(settings).running():
        until(lambda: set(server.stored()) == sent)
        until(lambda: _left(settings)[1] == [])
    # as if that shipper had been killed before it removed the object
    bucket.put(keys[0], content)
    with task() as settings, Shipper(settings).running():
        until(lambda: _left(settings)[1] == [])
    assert set(server.stored()) == sent
    assert set(server.stored().values()) == {1}


def test_what_no_shipper_can_store_or_read_stays_and_holds_nothing_up(
    server: Postgres, task: Callable[..., Any], customers: list[dict[str, Any]]
) -> None:
    with task(stop_seconds=0) as settings:
        spool = Spool.of(settings)
        sent = _append(spool, customers, 5)
        spool.append([encode_entry(ScoredRequest("r", "c", "m", 0.5, 0, 1.0, b"", [0.5], b"{}"), 1)])
        server.crash()
        _stopped_in_outage(settings)
        spool.close()
        bucket, (key,) = _left(settings)
        bucket.put(f"{key.rpartition('/')[0]}/0-damaged.entries", b"no entries")
    server.start()
    for _ in range(2):  # the second one tries again what the first could not
        with task() as settings:
            shipper = Shipper(settings)
            with shipper.running():
                until(lambda: "cannot be stored" in shipper.log.read_text())  # noqa: B023 - it is waited for here
                until(lambda: "0-damaged.entries is damaged" in shipper.log.read_text())  # noqa: B023
                until(lambda: key not in _left(settings)[1])
            assert sorted(each.rpartition(".")[2] for each in _left(settings)[1]) == ["aside", "entries"]
    assert set(server.stored()) == sent
    assert set(server.stored().values()) == {1}


def _stopped_in_outage(settings: Settings) -> None:
    """A shipper that finds PostgreSQL away, and is then stopped."""
    shipper = Shipper(settings)
    with shipper.running():
        until(lambda: "cannot be shipped" in shipper.log.read_text())


def _count(server: Postgres, query: LiteralString) -> int:
    with server.connect() as connection:
        (row,) = connection.execute(query).fetchall()
    return int(row[0])
