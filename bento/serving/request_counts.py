"""Metrics of requests, latencies, predictions and the spool for `/metrics`, and request counts for PostgreSQL.

Requests are counted in memory, and the counts are written to the spool every ten seconds. A killed process loses the
counts of at most ten seconds. It loses no predictions: those are in the spool before the response.
"""

import asyncio
import logging
import math
import os
import time
from bisect import bisect_left
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from deposit.errors import LogError
from deposit.log.destination import PredictionLog
from deposit.log.entries import Entry, Traffic, TrafficCount, encode_entry
from deposit.log.spool import SpoolState
from deposit.progress import OnChange

logger = logging.getLogger("deposit.serving")

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SECONDS = 10.0
_KEPT = 360
"""Maximum number of entries kept in memory while the spool cannot be written: one hour. After that, counts accumulate
in one entry and lose only their time resolution."""
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Routes that are polled by monitoring and are not counted as traffic."""
_STEPS = (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
_UPTO = (*(step * 10.0**power for power in range(-4, 2) for step in _STEPS), 100.0, math.inf)
"""Upper bounds of the latency buckets, in seconds: ten per decade, which gives quantiles to within 25 %."""

_Key = tuple[str, int, str, str]


class _Count:
    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets: dict[int, int] = {}


class RequestCounters:
    """Counts of the requests answered since the last `drain`; not thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[_Key, _Count] = {}

    def count(self, route: str, status: int, client: str, model_id: str, seconds: float) -> None:
        """Count an answered request, unless it is a health check or a metrics scrape."""
        if route in _PROBES:
            return
        key = (route, status, client, model_id)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count()
        count.seconds += seconds
        bucket = bisect_left(_UPTO, seconds)
        count.buckets[bucket] = count.buckets.get(bucket, 0) + 1

    def drain(self) -> list[TrafficCount]:
        """Return all counts and reset them."""
        counts, self._counts = self._counts, {}
        return [_as_entry(*key, count) for key, count in counts.items()]


class TrafficLog:
    """Appends request counts to the log, in the event loop that counts the requests.

    Args:
        counts: counters of the service's requests.
        log: prediction log; while it cannot be written, entries are kept in memory.
    """

    def __init__(self, counts: RequestCounters, log: PredictionLog) -> None:
        self._counts = counts
        self._log = log
        self._instance = f"{os.uname().nodename}-{os.urandom(4).hex()}"
        self._waiting: list[Entry] = []
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log_on_change = OnChange(partial(logger.error, "%s"))

    def start(self) -> None:
        """Start appending the counts every ten seconds."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and append the remaining counts."""
        self._stop.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> None:
        """Append the counts so far; on failure they are kept for the next flush, and no request fails."""
        if len(self._waiting) < _KEPT and (counts := self._counts.drain()):
            traffic = Traffic(self._instance, time.time_ns() // 1000, counts)
            self._waiting.append(encode_entry(traffic, len(counts)))
        if not self._waiting:
            return
        try:
            await asyncio.to_thread(self._log.append, self._waiting)
        except LogError as error:
            self._log_on_change(f"traffic counts cannot be stored: {error}; retrying")
        else:
            self._log_on_change("")
            self._waiting = []

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), _SECONDS)
            except TimeoutError:
                await self.flush()


def _as_entry(route: str, status: int, client: str, model_id: str, count: _Count) -> TrafficCount:
    filled = sorted(count.buckets)
    upto = [_UPTO[bucket] for bucket in filled]
    return TrafficCount(route, status, client, model_id, count.seconds, upto, [count.buckets[at] for at in filled])


class Metrics:
    """Prometheus metrics of one service process; `traffic` holds the counts that go to PostgreSQL."""

    def __init__(self) -> None:
        self.traffic = RequestCounters()
        self._registry = CollectorRegistry()
        self._requests = Counter("deposit_requests", "requests answered", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "deposit_request_seconds", "seconds to answer", ["route"], buckets=_BUCKETS, registry=self._registry
        )
        self._predictions = Counter(
            "deposit_predictions", "customers scored", ["model", "decision"], registry=self._registry
        )

        self._spool_rows = self._gauge("rows", "rows in the spool that are not yet shipped to PostgreSQL")
        self._spool_oldest = self._gauge(
            "oldest_seconds", "age of the oldest entry not yet shipped, 0 if there is none"
        )
        self._spool_bytes = self._gauge("bytes", "size of the spool file")
        self._spool_aside = self._gauge("aside_rows", "rows set aside because the database rejects them")
        self._spool_ok = self._gauge("ok", "1 if the spool can be read; if 0, the other spool metrics are outdated")
        # its rate is the shipping rate
        self._spool_shipped = self._gauge("shipped_rows_total", "rows shipped since the spool was created")
        # looking up a label's child costs more than counting
        self._requests_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._predictions_of = cache(self._predictions.labels)

    def count_request(self, route: str, status: int, client: str, model_id: str, seconds: float) -> None:
        """Count an answered request; `route` is a known path or `unknown`, `client` and `model_id` may be empty."""
        self._requests_of(route, status).inc()
        self._seconds_of(route).observe(seconds)
        self.traffic.count(route, status, client, model_id, seconds)

    def count_predictions(self, model_id: str, yes: int, no: int) -> None:
        """Count the predictions of one request."""
        self._predictions_of(model_id, "yes").inc(yes)
        self._predictions_of(model_id, "no").inc(no)

    def set_spool(self, state: SpoolState | None) -> None:
        """Set the spool metrics; `state` is None if the spool cannot be read."""
        self._spool_ok.set(state is not None)
        if state is None:
            return
        self._spool_aside.set(state.aside_rows)
        self._spool_rows.set(state.rows)
        self._spool_oldest.set(max(0.0, time.time() - state.oldest_at) if state.oldest_at else 0.0)
        self._spool_bytes.set(state.bytes)
        self._spool_shipped.set(state.shipped_rows)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"deposit_spool_{name}", meaning, registry=self._registry)
