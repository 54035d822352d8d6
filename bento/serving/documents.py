"""Small documents that somebody else replaces, and where they are: files, secrets of AWS, objects of the store."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from deposit.errors import ConfigError
from deposit.keys import SETTING, place_of
from deposit.secretsmanager import fetch
from deposit.sections import ServeSettings, StoreSettings
from deposit.settings import Settings

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


def catalog_document(settings: Settings) -> Document:
    """Where the list of the registered models is."""
    if settings.serve.catalog_uri:
        return ObjectDocument(settings.serve.catalog_uri, settings.store)
    return FileDocument(settings.catalog_path)


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
