"""Traffic for PostgreSQL: requests are counted in memory, and every ten seconds the counts go to the spool.

A process that is killed takes the counts of at most these seconds with it; predictions are in the spool by then.
"""

import asyncio
import logging
import math
import os
import time
from bisect import bisect_left

from deposit.errors import SpoolError
from deposit.log.entries import Entry, Traffic, TrafficCount, encode_entry
from deposit.log.spool import Spool

logger = logging.getLogger("deposit.serving")

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
    """What was answered since it was last taken; for one thread."""

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

    def take(self) -> list[TrafficCount]:
        """All counts, which then begin anew."""
        taken, self._counts = self._counts, {}
        return [_as_told(*key, count) for key, count in taken.items()]


class TrafficLog:
    """Appends the counts to the spool, in the event loop that counts.

    Args:
        counts: of the service's requests.
        spool: while it cannot be written, what was counted waits here.
    """

    def __init__(self, counts: RequestCounters, spool: Spool) -> None:
        self._counts = counts
        self._spool = spool
        self._instance = f"{os.uname().nodename}-{os.urandom(4).hex()}"
        self._waiting: list[Entry] = []
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def start(self) -> None:
        """Tell every ten seconds from now on."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tell of the rest, and no more."""
        self._stop.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> None:
        """Append what was counted; a failure keeps it for the next time, and fails no request."""
        if len(self._waiting) < _KEPT and (counts := self._counts.take()):
            told = Traffic(self._instance, time.time_ns() // 1000, counts)
            self._waiting.append(encode_entry(told, len(counts)))
        if not self._waiting:
            return
        try:
            await asyncio.to_thread(self._spool.append, self._waiting)
        except SpoolError as error:
            if not self._failing:
                logger.error("traffic is counted but cannot be told: %s; trying on", error)
            self._failing = True
        else:
            self._waiting, self._failing = [], False

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), _SECONDS)
            except TimeoutError:
                await self.flush()


def _as_told(route: str, status: int, client: str, model_id: str, count: _Count) -> TrafficCount:
    filled = sorted(count.buckets)
    upto = [_UPTO[bucket] for bucket in filled]
    return TrafficCount(route, status, client, model_id, count.seconds, upto, [count.buckets[at] for at in filled])
