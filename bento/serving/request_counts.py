"""What is counted: requests, their time, predictions, the spool; `/metrics` shows it, PostgreSQL gets the requests.

Requests are counted in memory, and every ten seconds the counts go to the spool. A process that is killed loses those
of at most these seconds; predictions are in the spool by then.
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
"""Entries that wait in memory while the spool cannot be written; after that hour only the resolution is lost."""
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked by machines all day long, which is nobody's traffic."""
_STEPS = (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
_UPTO = (*(step * 10.0**power for power in range(-4, 2) for step in _STEPS), 100.0, math.inf)
"""Upper edges of the buckets, seconds: ten a decade, so that a quantile is known within a quarter."""

_Key = tuple[str, int, str, str]


class _Count:
    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets: dict[int, int] = {}


class RequestCounters:
    """What was answered since it was last drained; for one thread."""

    def __init__(self) -> None:
        self._counts: dict[_Key, _Count] = {}

    def count(self, route: str, status: int, client: str, model_id: str, seconds: float) -> None:
        """One answered request, unless a machine asked for the service's health."""
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
        """All counts, which then begin anew."""
        counts, self._counts = self._counts, {}
        return [_as_entry(*key, count) for key, count in counts.items()]


class TrafficLog:
    """Appends the counts to the log, in the event loop that counts.

    Args:
        counts: of the service's requests.
        log: while it cannot be written, what was counted waits here.
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
        """Append every ten seconds from now on."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Append the rest, and no more."""
        self._stop.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> None:
        """Append what was counted; a failure keeps it for the next time, and fails no request."""
        if len(self._waiting) < _KEPT and (counts := self._counts.drain()):
            traffic = Traffic(self._instance, time.time_ns() // 1000, counts)
            self._waiting.append(encode_entry(traffic, len(counts)))
        if not self._waiting:
            return
        try:
            await asyncio.to_thread(self._log.append, self._waiting)
        except LogError as error:
            self._log_on_change(f"traffic is counted but cannot be stored: {error}; trying on")
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
    """Counters of one service process; `traffic` are those that go to PostgreSQL."""

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

        self._spool_rows = self._gauge("rows", "rows that wait in the spool for PostgreSQL")
        self._spool_oldest = self._gauge("oldest_seconds", "age of the oldest entry that waits, 0 if none does")
        self._spool_bytes = self._gauge("bytes", "size of the spool's file")
        self._spool_aside = self._gauge("aside_rows", "rows set aside since the database refuses them")
        self._spool_ok = self._gauge("ok", "1 if the spool can be read, else 0, and the other figures are old")
        # a rate over it is the rate of shipping
        self._spool_shipped = self._gauge("shipped_rows_total", "rows shipped since the spool was made")
        # finding a label's child anew costs more than counting
        self._requests_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._predictions_of = cache(self._predictions.labels)

    def count_request(self, route: str, status: int, client: str, model_id: str, seconds: float) -> None:
        """One answered request; `route` is a known path or `unknown`, `client` and `model_id` may be empty."""
        self._requests_of(route, status).inc()
        self._seconds_of(route).observe(seconds)
        self.traffic.count(route, status, client, model_id, seconds)

    def count_predictions(self, model_id: str, yes: int, no: int) -> None:
        """Predictions of one request."""
        self._predictions_of(model_id, "yes").inc(yes)
        self._predictions_of(model_id, "no").inc(no)

    def set_spool(self, state: SpoolState | None) -> None:
        """What the spool holds now; None if it cannot be read."""
        self._spool_ok.set(state is not None)
        if state is None:
            return
        self._spool_aside.set(state.aside_rows)
        self._spool_rows.set(state.rows)
        self._spool_oldest.set(max(0.0, time.time() - state.oldest_at) if state.oldest_at else 0.0)
        self._spool_bytes.set(state.bytes)
        self._spool_shipped.set(state.shipped_rows)

    def render(self) -> bytes:
        """The Prometheus text."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"deposit_spool_{name}", meaning, registry=self._registry)
