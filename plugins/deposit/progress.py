"""Progress of long work: plain log lines by default, bars where a terminal is (see `deposit.console`)."""

import logging
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger("deposit")


class Progress(Protocol):
    """Called at each step, with `done` of `total` where a step has parts that can be counted."""

    def __call__(self, message: str, done: int = 0, total: int = 0) -> None:
        """Report one step."""


def log_progress(message: str, done: int = 0, total: int = 0) -> None:
    """Progress as plain lines of the `deposit` logger."""
    logger.info("%s (%d of %d)" if total else "%s", *((message, done, total) if total else (message,)))


class OnChange:
    """Passes a message on when it is not what it was the last time; an empty one is passed on to nobody.

    So what is down is reported once, however often it is tried, and again if it has worked meanwhile.

    >>> log = OnChange(print)
    >>> for message in ("down", "down", "", "down"):
    ...     log(message)
    down
    down
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._last = ""

    def __call__(self, message: str) -> None:
        """Log a message, empty where all is well."""
        if message and message != self._last:
            self._log(message)
        self._last = message
