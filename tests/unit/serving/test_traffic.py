import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from deposit.errors import SpoolError
from deposit.log.entries import Traffic, TrafficCount, decode_entry
from deposit.log.spool import Spool
from serving import request_counts
from serving.request_counts import Metrics, RequestCounters, TrafficLog


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", 2**30, 2**20)
    yield spool
    spool.close()


def _counted(spool: Spool) -> list[Traffic]:
    contents = [decode_entry(entry) for _, entry in spool.read(1_000_000)]
    return [content for content in contents if isinstance(content, Traffic)]


def _full(*_: object) -> None:
    raise SpoolError("the disk is full")


def test_requests_are_counted_by_route_status_client_and_model_with_their_time() -> None:
    counts = RequestCounters()
    for seconds in (0.0011, 0.0012, 0.3, 1000.0):
        counts.count("/predict", 200, "marketing", "deposit-v7", seconds)
    counts.count("/predict", 422, "marketing", "", 0.001)
    assert counts.drain() == [
        TrafficCount(
            "/predict", 200, "marketing", "deposit-v7", pytest.approx(1000.3023), [0.00125, 0.315, math.inf], [2, 1, 1]
        ),
        TrafficCount("/predict", 422, "marketing", "", 0.001, [0.001], [1]),
    ]
    assert counts.drain() == []


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.00011, 0.0077, 1.0, 1.01, 99.0, 100.0])
def test_a_bucket_is_at_most_a_quarter_wider_than_what_is_in_it(seconds: float) -> None:
    counts = RequestCounters()
    counts.count("/predict", 200, "", "", seconds)
    (upto,) = counts.drain()[0].latency_upto
    assert seconds <= upto <= max(1.27 * seconds, 0.0001)


@pytest.mark.parametrize("route", ["/livez", "/readyz", "/metrics"])
def test_health_checks_are_nobodys_traffic_yet_in_the_metrics(route: str) -> None:
    metrics = Metrics()
    metrics.count_request(route, 200, "anonymous", "", 0.001)
    assert metrics.traffic.drain() == []
    assert f'deposit_requests_total{{route="{route}",status="200"}} 1.0' in metrics.render().decode()


def test_what_was_counted_goes_to_the_spool_once(spool: Spool) -> None:
    counts = RequestCounters()

    async def tell() -> None:
        log = TrafficLog(counts, spool)
        for number in range(3):
            counts.count("/predict", 200, "marketing", "deposit-v7", 0.001 * number)
            await log.flush()
            await log.flush()

    asyncio.run(tell())
    counted = _counted(spool)
    assert [sum(count.latency_count) for each in counted for count in each.counts] == [1, 1, 1]
    assert len({each.instance for each in counted}) == 1
    assert sorted({each.at for each in counted}) == [each.at for each in counted]
    assert spool.state().rows == 3


def test_counts_wait_while_the_spool_cannot_be_written_and_keep_their_moments(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counts = RequestCounters()

    async def tell() -> None:
        log = TrafficLog(counts, spool)
        with monkeypatch.context() as broken:
            broken.setattr(Spool, "append", _full)
            broken.setattr(request_counts, "_KEPT", 4)
            for _ in range(9):
                counts.count("/predict", 503, "marketing", "", 0.001)
                await log.flush()
        assert _counted(spool) == []
        await log.flush()
        await log.close()

    asyncio.run(tell())
    assert [each.counts[0].latency_count for each in _counted(spool)] == [[1], [1], [1], [1], [5]]
    assert len({each.at for each in _counted(spool)}) == 5
    assert len([record for record in caplog.records if "the disk is full" in record.message]) == 1


def test_it_tells_by_itself_and_the_rest_when_it_ends(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_counts, "_SECONDS", 0.01)
    counts = RequestCounters()

    async def tell() -> None:
        log = TrafficLog(counts, spool)
        log.start()
        counts.count("/predict", 200, "marketing", "deposit-v7", 0.001)
        while not _counted(spool):
            await asyncio.sleep(0.01)
        monkeypatch.setattr(request_counts, "_SECONDS", 1000.0)
        await asyncio.sleep(0.05)
        counts.count("/rank", 200, "marketing", "deposit-v7", 0.001)
        await log.close()

    asyncio.run(tell())
    assert [each.counts[0].route for each in _counted(spool)] == ["/predict", "/rank"]


def test_a_quiet_service_writes_nothing(spool: Spool) -> None:
    async def tell() -> None:
        log = TrafficLog(RequestCounters(), spool)
        log.start()
        await log.close()

    asyncio.run(tell())
    assert spool.state().entries == 0
