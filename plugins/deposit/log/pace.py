"""The shipper's pace: how long it rests between turns, so that what answers requests has the processor in a burst.

What was answered is on the disk already, so shipping may wait; by how much, the constants here bound.
"""

import time
from collections.abc import Callable

from deposit.log.spool import SpoolState
from deposit.sections import LogSettings

REST = 2.0
"""Times what a turn took: so shipping has a third of the time at most."""
LONGEST_REST = 5.0
"""Seconds."""
LATEST_SECONDS = 30.0
"""An entry that has waited so long is older than a burst: from then on there is no rest."""
FILLED = 0.25
"""The same once a spool of the largest size that it may have would be filled by so much."""


class Pace:
    """Decides after each turn. With little to ship it polls; in a burst it rests; behind, or after one, it does not.

    Args:
        log: its `ship_rows` are a full turn, its `poll_seconds` the pause between small ones.
        clock: seconds that only go up.
        now: unix seconds, as entries are dated.
    """

    def __init__(
        self, log: LogSettings, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time
    ) -> None:
        self._log = log
        self._clock = clock
        self._now = now
        self._began = clock()
        self._seen: int | None = None

    def begin(self) -> None:
        """A turn begins."""
        self._began = self._clock()

    def rest(self, spool: SpoolState) -> float:
        """Seconds to wait after a turn that left so much."""
        seen = spool.rows + spool.aside_rows + spool.shipped_rows
        came, self._seen = seen - (seen if self._seen is None else self._seen), seen
        if spool.rows < self._log.ship_rows / 2:  # small batches cost as much as large ones
            return self._log.poll_seconds
        waited = 0.0 if spool.oldest_at is None else self._now() - spool.oldest_at
        is_behind = waited > LATEST_SECONDS or spool.bytes > FILLED * self._log.spool_max_bytes
        if is_behind or came < self._log.ship_rows / 2:
            return 0.0
        return min(LONGEST_REST, REST * (self._clock() - self._began))
