"""Progress of long operations: plain log lines by default, bars in a terminal (see `deposit.console`)."""

import logging
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger("deposit")


class Progress(Protocol):
    """Callback for each step, with `done` of `total` if the step has parts that can be counted."""

    def __call__(self, message: str, done: int = 0, total: int = 0) -> None:
        """Report one step."""


def log_progress(message: str, done: int = 0, total: int = 0) -> None:
    """Report a step as a line of the `deposit` logger."""
    logger.info("%s (%d of %d)" if total else "%s", *((message, done, total) if total else (message,)))


class OnChange:
    """Passes a message on if it differs from the previous one; an empty message is never passed on.

    An outage is therefore reported once, however often the call is retried, and again after a success.

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
        """Log a message; an empty one means that all is well."""
        if message and message != self._last:
            self._log(message)
        self._last = message
