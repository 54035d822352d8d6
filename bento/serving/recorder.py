"""Group commit: the log entries of all waiting requests become durable in one transaction."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from deposit.errors import LogError
from deposit.log.destination import PredictionLog
from deposit.log.entries import Entry
from serving.problems import http_error

logger = logging.getLogger("deposit.serving")
_RETRY_SECONDS = b"5"
Done = Callable[[BaseException | None], None]


class Recorder:
    """Writes to the log in its own thread; while one transaction runs, entries are collected for the next."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log")
        self._waiting: list[tuple[Sequence[Entry], Done]] = []
        self._writing = False
        self._then: list[Callable[[], None]] = []

    async def record(self, *entries: Entry) -> None:
        """Wait until the entries are durable. Raises RequestError 503 if they cannot be written."""
        recorded = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if recorded.done():  # the client disconnected
                return
            if error is None:
                recorded.set_result(None)
            else:
                recorded.set_exception(error)

        self.submit(entries, done)
        await recorded

    def submit(self, entries: Sequence[Entry], done: Done) -> None:
        """Record entries without waiting; `done` is called in the event loop, with the error or None."""
        self._waiting.append((entries, done))
        if not self._writing:
            self._write()

    def when_free(self, work: Callable[[], None]) -> None:
        """Call `work` in the event loop once no transaction is running; its entries go into the next transaction."""
        if self._writing:
            self._then.append(work)
        else:
            asyncio.get_running_loop().call_soon(work)

    def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        self._writing = True
        entries = [entry for group, _ in batch for entry in group]
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self._log.append, entries)
        writing.add_done_callback(lambda written: self._written(batch, written.exception()))

    def _written(self, batch: list[tuple[Sequence[Entry], Done]], error: BaseException | None) -> None:
        self._writing = False
        works, self._then = self._then, []
        for work in works:  # their entries go into the next transaction
            work()
        if self._waiting and not self._writing:
            self._write()
        if isinstance(error, LogError):
            logger.error("%s", error)
            message = (
                f"nothing was answered or stored, because the prediction log cannot be written ({error}); try again"
            )
            error = http_error(503, message, headers=((b"retry-after", _RETRY_SECONDS),))
        for _, done in batch:
            done(error)


BYTES = 16
_TIME_BYTES = 6
RANDOM_BYTES = BYTES - _TIME_BYTES
"""Bytes of an id after its timestamp."""


def new_ids(count: int) -> bytes:
    """Return `count` new ids with the current time, in the format of `ids_of`."""
    return ids_of([(time.time_ns() // 1_000_000, count)], os.urandom(RANDOM_BYTES * count))


def ids_of(moments: Iterable[tuple[int, int]], random: bytes) -> bytes:
    """Build UUIDs of version 7, 16 bytes each: 48 bits of milliseconds, then random bits except version and variant.

    Args:
        moments: pairs of a timestamp in milliseconds since the epoch and the number of ids that get it.
        random: random bytes, 10 per id.
    """
    times = b"".join(at.to_bytes(_TIME_BYTES, "big") * count for at, count in moments)
    count = len(random) // RANDOM_BYTES
    ids = np.empty((count, BYTES), np.uint8)
    ids[:, :_TIME_BYTES] = np.frombuffer(times, np.uint8).reshape(count, _TIME_BYTES)
    ids[:, _TIME_BYTES:] = np.frombuffer(random, np.uint8).reshape(count, RANDOM_BYTES)
    ids[:, 6] = ids[:, 6] & 0x0F | 0x70
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids.tobytes()


_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""Ranges of the hexadecimal digits between the hyphens of a UUID."""
TEXT_BYTES = 36


def hyphenated(ids: bytes) -> NDArray[np.uint8]:
    """Format ids as UUIDs in lower case with hyphens: ASCII characters, shape (n, 36)."""
    count = len(ids) // BYTES
    digits = np.frombuffer(ids.hex().encode(), np.uint8).reshape(count, 2 * BYTES)
    shown = np.full((count, TEXT_BYTES), ord("-"), np.uint8)
    for dashes, (first, last) in enumerate(_GROUPS):
        shown[:, first + dashes : last + dashes] = digits[:, first:last]
    return shown


def texts(ids: bytes) -> list[str]:
    """Format ids as a list of UUID strings.

    >>> texts(bytes(range(16)))
    ['00010203-0405-0607-0809-0a0b0c0d0e0f']
    """
    shown = hyphenated(ids).tobytes().decode()
    return [shown[at : at + TEXT_BYTES] for at in range(0, len(shown), TEXT_BYTES)]
