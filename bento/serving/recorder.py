"""Group commit: entries of all requests that wait become durable in one transaction."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deposit.errors import SpoolError
from deposit.monitoring.entries import Entry
from deposit.monitoring.spool import Spool
from serving.problems import refuse

logger = logging.getLogger("deposit.serving")
_RETRY_SECONDS = b"5"
Done = Callable[[BaseException | None], None]


class Recorder:
    """Writes to the spool in a thread of its own; while one transaction is on the disk, the next one fills."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._waiting: list[tuple[Sequence[Entry], Done]] = []
        self._writing = False

    async def record(self, *entries: Entry) -> None:
        """Return when the entries are on the disk. Raises RequestError 503 if they cannot be: then do not answer."""
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

    def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        self._writing = True
        entries = [entry for group, _ in batch for entry in group]
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self._spool.append, entries)
        writing.add_done_callback(lambda written: self._written(batch, written.exception()))

    def _written(self, batch: list[tuple[Sequence[Entry], Done]], error: BaseException | None) -> None:
        self._writing = False
        if self._waiting:
            self._write()
        if isinstance(error, SpoolError):
            logger.error("%s", error)
            message = f"nothing was answered or kept, since the prediction log cannot be written ({error}); try again"
            error = refuse(503, message, headers=((b"retry-after", _RETRY_SECONDS),))
        for _, done in batch:
            done(error)
