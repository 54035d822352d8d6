"""How long the shipper pauses between iterations, so that the services get the CPU during a burst of requests.

Logged predictions are on disk already, so shipping may be delayed. The constants below limit the delay.
"""

import time
from collections.abc import Callable

from deposit.log.spool import SpoolState
from deposit.sections import LogSettings

REST = 2.0
"""Pause as a multiple of the duration of the iteration: shipping takes at most a third of the time."""
LONGEST_REST = 5.0
"""Longest pause, in seconds."""
LATEST_SECONDS = 30.0
"""Age of the oldest entry, in seconds, from which the shipper no longer pauses: the load is more than a burst."""
FILLED = 0.25
"""Fraction of the maximum size of a spool from which the shipper no longer pauses."""


class Pace:
    """Computes the pause after each iteration of the shipper.

    With few rows to ship it is the polling interval. During a burst it is a multiple of the duration of the iteration.
    After a burst, or when the shipper has fallen behind, there is none.

    Args:
        log: settings; `ship_rows` is the size of a full batch, `poll_seconds` the pause after a small one.
        clock: monotonic clock, in seconds.
        now: wall clock, in Unix seconds, for the age of entries.
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
        """Record the start of an iteration."""
        self._began = self._clock()

    def rest(self, spool: SpoolState) -> float:
        """Return the seconds to wait after an iteration; `spool` is the state it left behind."""
        seen = spool.rows + spool.aside_rows + spool.shipped_rows
        came, self._seen = seen - (seen if self._seen is None else self._seen), seen
        if spool.rows < self._log.ship_rows / 2:  # small batches cost as much as large ones
            return self._log.poll_seconds
        waited = 0.0 if spool.oldest_at is None else self._now() - spool.oldest_at
        is_behind = waited > LATEST_SECONDS or spool.bytes > FILLED * self._log.spool_max_bytes
        if is_behind or came < self._log.ship_rows / 2:
            return 0.0
        return min(LONGEST_REST, REST * (self._clock() - self._began))
