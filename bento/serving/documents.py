"""Small documents that are reloaded when they change: files, AWS secrets, and objects in the object store."""

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
    """A document that may be replaced while the service runs.

    Args:
        name: name of the document in messages.
        every: polling interval in seconds.
    """

    def __init__(self, name: str, every: float) -> None:
        self.name = name
        self.every = every

    @abstractmethod
    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """Return the version and content, or None if the version is still `seen`. Raises DepositError."""


class FileDocument(Document):
    """A file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), 1.0)
        self._path = path

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """Read the file if its times, inode or size changed. Raises ConfigError."""
        try:
            # taken before reading, so that a file replaced in between is read again the next time
            version = _signature(self._path)
            return None if version == seen else (version, self._path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read {self._path}: {error.strerror}") from error


class SecretDocument(Document):
    """A secret in AWS Secrets Manager, by name or ARN, read with the machine's own IAM role."""

    def __init__(self, secret: str) -> None:
        super().__init__(f"the secret {secret}", _REMOTE_SECONDS)
        self._secret = secret

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """Fetch the secret and compare its content. Raises ConfigError, UpstreamError."""
        content = fetch(SETTING, self._secret).encode()
        return None if content == seen else (content, content)


class ObjectDocument(Document):
    """An object in the object store, by its URI `s3://bucket/key`."""

    def __init__(self, uri: str, store: StoreSettings) -> None:
        super().__init__(uri, _REMOTE_SECONDS)
        self._settings = store
        self._bucket: Any = None

    def read(self, seen: Any) -> tuple[Any, bytes] | None:
        """Fetch the object and compare its content, which is as small as a "not modified" response would be.

        Raises SourceError, UpstreamError.
        """
        # imported here because boto3 takes half a second to import, which a service that reads a file can avoid
        from deposit.store import ObjectStore, split_uri

        name, key = split_uri(self.name)
        if self._bucket is None:
            self._bucket = ObjectStore(self._settings, _CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS).bucket(name)
        content: bytes = self._bucket.get(key)
        return None if content == seen else (content, content)


def keys_document(serve: ServeSettings) -> Document | None:
    """Return the document with the API keys, or None if no key is needed. Raises ConfigError if two are configured."""
    place = place_of(serve)
    if place is None:
        return None
    return FileDocument(place) if isinstance(place, Path) else SecretDocument(place)


def catalog_document(serve: ServeSettings, store: StoreSettings, path: Path) -> Document:
    """Return the document with the model catalog: the configured object, or else the file at `path`."""
    return ObjectDocument(serve.catalog_uri, store) if serve.catalog_uri else FileDocument(path)


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


T = TypeVar("T")


class Reloading(Generic[T]):
    """The parsed content of a document, polled at most once per interval and parsed again only if it changed.

    Args:
        document: document to poll.
        parse: function that parses the content; raises DepositError.
        log: function that is called once for each new problem with the document.
        clock: monotonic clock, in seconds.
    """

    def __init__(
        self,
        document: Document,
        parse: Callable[[bytes], T],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_valid = False
        """Whether the document existed and was well-formed when it was last read."""
        self._document = document
        self._parse = parse
        self._log = OnChange(log)
        self._clock = clock
        self._value: T | None = None
        self._next = -math.inf
        self._seen: Any = None

    def value(self) -> T | None:
        """Return the last valid value, or None if the document was never valid."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._document.every
            self._reload()
        return self._value

    def _reload(self) -> None:
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
