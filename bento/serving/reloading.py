"""Small files that another process replaces: read again within a second of their change."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from deposit.errors import DepositError

_LOOK_SECONDS = 1.0
T = TypeVar("T")


class ReloadingFile(Generic[T]):
    """The parsed content of a file; one look at its name a second at most, and nothing else while it stays the same.

    Args:
        path: the file, which is replaced whole.
        parse: from content to value; raises DepositError.
        tell: is told once of each thing that is wrong with the file.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.sound = False
        """Whether the file is, as seen last, there and well-formed."""
        self._parse = parse
        self._tell = tell
        self._clock = clock
        self._value: T | None = None
        self._next = -math.inf
        self._seen: tuple[int, ...] | None = None
        self._problem = ""

    def value(self) -> T | None:
        """What the file said when it was sound the last time; None if it never was."""
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
            self._unsound(f"cannot read {self.path}: {error.strerror}")
            return
        self._seen = seen
        try:
            self._value = self._parse(content)
        except DepositError as error:
            self._unsound(f"{self.path}: {error}")
        else:
            self.sound, self._problem = True, ""

    def _unsound(self, problem: str) -> None:
        self.sound = False
        if problem != self._problem:
            self._problem = problem
            self._tell(problem)


def _signature(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
