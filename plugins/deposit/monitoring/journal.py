"""The shipper's log: a line an outage, a line a recovery, a line a minute in which something was shipped."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_REPORT_SECONDS = 60.0


class Journal:
    """Tells of changes, not of every attempt."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._failing_since: float | None = None
        self._reported = clock()
        self._rows = 0

    def failed(self, error: Exception) -> float:
        """An attempt failed: seconds to wait before the next."""
        if self._failing_since is None:
            self._failing_since = self._clock()
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.error("predictions cannot be shipped and wait in the spool: %s; trying on", reason)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause

    def worked(self, rows: int, waiting: int) -> None:
        """A batch, of no rows perhaps, was shipped; so many rows wait."""
        now = self._clock()
        if self._failing_since is not None:
            logger.warning("shipping again after %.0f s; %d rows wait", now - self._failing_since, waiting)
        self._failing_since, self._pause = None, _FIRST_PAUSE
        self._rows += rows
        if self._rows and now - self._reported >= _REPORT_SECONDS:
            logger.info("shipped %d rows in %.0f s; %d wait", self._rows, now - self._reported, waiting)
            self._rows, self._reported = 0, now
