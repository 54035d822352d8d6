"""Group commit: entries of all requests that wait become durable in one transaction."""

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
    """Writes to the log in a thread of its own; while one transaction is on its way, the next one fills."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log")
        self._waiting: list[tuple[Sequence[Entry], Done]] = []
        self._writing = False
        self._then: list[Callable[[], None]] = []

    async def record(self, *entries: Entry) -> None:
        """Return when the entries are safe. Raises RequestError 503 if they cannot be: then do not answer."""
        recorded = asyncio.get_running_loop().create_future()

        def done(error: BaseException | None) -> None:
            if recorded.done():  # the client went away
                return
            if error is None:
                recorded.set_result(None)
            else:
                recorded.set_exception(error)

        self.submit(entries, done)
        await recorded

    def submit(self, entries: Sequence[Entry], done: Done) -> None:
        """The same for a caller that must not wait: `done` is called in the event loop, with the error if any."""
        self._waiting.append((entries, done))
        if not self._writing:
            self._write()

    def when_free(self, work: Callable[[], None]) -> None:
        """Call `work` in the event loop, once the transaction is over that is on its way: the next can take it all."""
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
        for work in works:  # the next transaction takes what these record
            work()
        if self._waiting and not self._writing:
            self._write()
        if isinstance(error, LogError):
            logger.error("%s", error)
            message = f"nothing was answered or kept, since the prediction log cannot be written ({error}); try again"
            error = http_error(503, message, headers=((b"retry-after", _RETRY_SECONDS),))
        for _, done in batch:
            done(error)


BYTES = 16
_TIME_BYTES = 6


RANDOM_BYTES = BYTES - _TIME_BYTES
"""Of one identifier."""


def new_ids(count: int) -> bytes:
    """`count` identifiers of this moment, as `ids_of` makes them."""
    return ids_of([(time.time_ns() // 1_000_000, count)], os.urandom(RANDOM_BYTES * count))


def ids_of(moments: Iterable[tuple[int, int]], random: bytes) -> bytes:
    """Identifiers, 16 bytes each: 48 bits of milliseconds, the rest random but for version and variant (UUID 7).

    Args:
        moments: milliseconds since the epoch, and how many of the identifiers have them.
        random: 10 bytes an identifier.
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
"""Digits of an identifier between its dashes."""
TEXT_BYTES = 36


def hyphenated(ids: bytes) -> NDArray[np.uint8]:
    """The identifiers in their usual form, lower case with dashes: letters in ASCII, shape (n, 36)."""
    count = len(ids) // BYTES
    digits = np.frombuffer(ids.hex().encode(), np.uint8).reshape(count, 2 * BYTES)
    shown = np.full((count, TEXT_BYTES), ord("-"), np.uint8)
    for dashes, (first, last) in enumerate(_GROUPS):
        shown[:, first + dashes : last + dashes] = digits[:, first:last]
    return shown


def texts(ids: bytes) -> list[str]:
    """The same as texts.

    >>> texts(bytes(range(16)))
    ['00010203-0405-0607-0809-0a0b0c0d0e0f']
    """
    shown = hyphenated(ids).tobytes().decode()
    return [shown[at : at + TEXT_BYTES] for at in range(0, len(shown), TEXT_BYTES)]
