"""Small documents that are replaced under the running service: read again soon after their change."""

import math
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from deposit.errors import DepositError
from deposit.progress import OnChange
from serving.documents import Document

T = TypeVar("T")


class Reloading(Generic[T]):
    """The parsed content of a document; one look at it per interval at most, and nothing else while it stays the same.

    Args:
        document: where it is and how often to look.
        parse: from content to value; raises DepositError.
        log: is called once for each thing that is wrong with the document.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        document: Document,
        parse: Callable[[bytes], T],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_valid = False
        """Whether the document is, as seen last, there and well-formed."""
        self._document = document
        self._parse = parse
        self._log = OnChange(log)
        self._clock = clock
        self._value: T | None = None
        self._next = -math.inf
        self._seen: Any = None

    def value(self) -> T | None:
        """The document when it was valid the last time; None if it never was."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._document.every
            self._look()
        return self._value

    def _look(self) -> None:
        try:
            read = self._document.read(self._seen)
        except DepositError as error:
            self._seen = None
            self._invalid(str(error))
            return
        if read is None:
            return
        self._seen, content = read
        try:
            self._value = self._parse(content)
        except DepositError as error:
            self._invalid(f"{self._document.name}: {error}")
        else:
            self.is_valid = True
            self._log("")

    def _invalid(self, problem: str) -> None:
        self.is_valid = False
        self._log(problem)
