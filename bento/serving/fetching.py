"""A registered model's files from the object store, each checked against its sha256 before anything reads it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from deposit.errors import IntegrityError, UpstreamError
from deposit.model.artifact import BOOSTER, MODEL, PARITY, ModelArtifact, sha256_of
from deposit.model.catalog import Files
from deposit.sections import StoreSettings

if TYPE_CHECKING:
    from deposit.store import ObjectStore

_MAX_BYTES = 128 * 2**20
"""No file of a model may be larger."""
_CONNECT_SECONDS, _READ_SECONDS, _RETRIES = 2.0, 10.0, 1


class _Recorded(msgspec.Struct):
    """What model.json says of the files beside it."""

    sha256: dict[str, str]


class Fetcher:
    """Reads models from the object store; for use in threads."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._store: ObjectStore | None = None

    def fetch(self, files: Files) -> ModelArtifact:
        """The model whose model.json has the registered sha256. Raises IntegrityError, SourceError, UpstreamError."""
        try:
            with TemporaryDirectory(prefix="deposit-model-") as folder:
                self._download(files, Path(folder))
                return ModelArtifact.load(Path(folder), threads=1)
        except OSError as error:
            raise UpstreamError(f"cannot keep the files of a model for a moment: {error}; free some space") from error

    def _download(self, files: Files, folder: Path) -> None:
        content = self._checked(files, MODEL, files.sha256)
        try:
            recorded = msgspec.json.decode(content, type=_Recorded).sha256
        except msgspec.DecodeError as error:
            raise IntegrityError(f"{files.prefix}/{MODEL} does not tell its files: {error}") from error
        (folder / MODEL).write_bytes(content)
        for name in (PARITY, BOOSTER):
            if name in recorded:
                (folder / name).write_bytes(self._checked(files, name, recorded[name]))

    def _checked(self, files: Files, name: str, expected: str) -> bytes:
        key = f"{files.prefix}/{name}"
        content = self._connected().get(files.bucket, key, _MAX_BYTES)
        found = sha256_of(content)
        if found != expected:
            raise IntegrityError(
                f"s3://{files.bucket}/{key} has sha256 {found}, registered was {expected}: restore it or train anew"
            )
        return content

    def _connected(self) -> "ObjectStore":
        # boto3 takes half a second to import and 30 MB; a service that is never asked for another model does without
        with self._lock:
            if self._store is None:
                from deposit.store import ObjectStore

                self._store = ObjectStore(self._settings, _CONNECT_SECONDS, _READ_SECONDS, _RETRIES)
            return self._store
