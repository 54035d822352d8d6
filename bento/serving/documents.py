"""Small documents that somebody else replaces, and where they are: files, secrets of AWS, objects of the store."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from deposit.errors import ConfigError, DepositError
from deposit.keys import SETTING, place_of
from deposit.progress import OnChange
from deposit.secretsmanager import fetch
from deposit.sections import ServeSettings, StoreSettings

_REMOTE_SECONDS = 60.0
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 2, 3, 2


class Document(ABC):
    """One document.

    Args:
        name: how messages call it.
        every: seconds between two looks at it.
    """

    def __init__(self, name: str, every: float) -> None:
        self.name = name
        self.every = every

    @abstractmethod
    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """Its version and content, or None if the version is still `seen`. Raises DepositError."""


class FileDocument(Document):
    """A file, which is replaced whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), 1.0)
        self._path = path

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """By its time, inode and size. Raises ConfigError."""
        try:
            # before reading: what is replaced meanwhile looks changed the next time
            version = _signature(self._path)
            return None if version == seen else (version, self._path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read {self._path}: {error.strerror}") from error


class SecretDocument(Document):
    """A secret of AWS Secrets Manager by its name or ARN, read with the machine's own role."""

    def __init__(self, secret: str) -> None:
        super().__init__(f"the secret {secret}", _REMOTE_SECONDS)
        self._secret = secret

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """By its content. Raises ConfigError, UpstreamError."""
        content = fetch(SETTING, self._secret).encode()
        return None if content == seen else (content, content)


class ObjectDocument(Document):
    """An object of the store by its `s3://bucket/key`."""

    def __init__(self, uri: str, store: StoreSettings) -> None:
        super().__init__(uri, _REMOTE_SECONDS)
        self._settings = store
        self._bucket: Any = None

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """By its content, which is as small as an answer that it has not changed. Raises SourceError, UpstreamError."""
        # boto3 takes half a second to import, which a service with a file does without
        from deposit.store import ObjectStore, split_uri

        name, key = split_uri(self.name)
        if self._bucket is None:
            self._bucket = ObjectStore(self._settings, _CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS).bucket(name)
        content: bytes = self._bucket.get(key)
        return None if content == seen else (content, content)


def keys_document(serve: ServeSettings) -> Document | None:
    """Where the API keys are; None if no key is needed. Raises ConfigError for two places."""
    place = place_of(serve)
    if place is None:
        return None
    return FileDocument(place) if isinstance(place, Path) else SecretDocument(place)


def catalog_document(serve: ServeSettings, store: StoreSettings, path: Path) -> Document:
    """Where the list of the registered models is; the file at `path` where no object is named."""
    return ObjectDocument(serve.catalog_uri, store) if serve.catalog_uri else FileDocument(path)


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


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
