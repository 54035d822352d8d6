"""Small files that another process replaces: read again within a second of their change."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from deposit.errors import DepositError
from deposit.progress import OnChange

_LOOK_SECONDS = 1.0
T = TypeVar("T")


class ReloadingFile(Generic[T]):
    """The parsed content of a file; one look at its name a second at most, and nothing else while it stays the same.

    Args:
        path: the file, which is replaced whole.
        parse: from content to value; raises DepositError.
        log: is called once for each thing that is wrong with the file.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.is_valid = False
        """Whether the file is, as seen last, there and well-formed."""
        self._parse = parse
        self._log = OnChange(log)
        self._clock = clock
        self._value: T | None = None
        self._next = -math.inf
        self._seen: tuple[int, ...] | None = None

    def value(self) -> T | None:
        """What the file said when it was valid the last time; None if it never was."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _LOOK_SECONDS
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            # before reading: what is replaced meanwhile looks changed the next time
            seen = _signature(self.path)
            if seen == self._seen:
                return
            content = self.path.read_bytes()
        except OSError as error:
            self._seen = None
            self._invalid(f"cannot read {self.path}: {error.strerror}")
            return
        self._seen = seen
        try:
            self._value = self._parse(content)
        except DepositError as error:
            self._invalid(f"{self.path}: {error}")
        else:
            self.is_valid = True
            self._log("")

    def _invalid(self, problem: str) -> None:
        self.is_valid = False
        self._log(problem)


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
