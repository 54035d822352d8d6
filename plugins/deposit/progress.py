"""Progress of long work: plain log lines by default, bars where a terminal is (see `deposit.console`)."""

import logging
from typing import Protocol

logger = logging.getLogger("deposit")


class Progress(Protocol):
    """Told of each step; `done` of `total` where a step has parts that can be counted."""

    def __call__(self, message: str, done: int = 0, total: int = 0) -> None:
        """Tell of one step."""


def log_progress(message: str, done: int = 0, total: int = 0) -> None:
    """Progress as plain lines of the `deposit` logger."""
    logger.info("%s (%d of %d)" if total else "%s", *((message, done, total) if total else (message,)))
