"""Output folders, on this machine or in the object store; their results are complete once the manifest exists."""

import os
import re
import shutil
from pathlib import Path
from typing import Protocol

import msgspec

from deposit.data.readings import Reading
from deposit.data.tables.dialect import FilesOfDialect
from deposit.errors import ConfigError, IntegrityError, SourceError
from deposit.scoring.inputs import refuse_scheme
from deposit.scoring.journal import PartDone, ScorePlan
from deposit.store import Bucket, ObjectStore, split_uri

MANIFEST = "_manifest.json"
QUARANTINE = "_quarantine"
_UNFINISHED = "_unfinished"
"""File that exists while a run is unfinished; writing it first shows that the folder is writable."""
_OURS = re.compile(
    rf"({QUARANTINE}/)?\.?(part-\d+\.parquet|run-\d+\.csv|{_UNFINISHED}|{re.escape(MANIFEST)})(\.fresh)?"
)


class ScoreManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Contents of an output folder; written last.

    Args:
        plan: inputs, model and options of the run.
        created: creation time, UTC in ISO format.
        rows: number of scored rows.
        rejected: number of invalid rows, which are in the files `quarantine`.
        expected_subscriptions: expected subscriptions if every customer is called.
        worth_calling: number of rows with an expected value above 0.
        parts: result files, best rows first.
        quarantine: names of the files with invalid rows.
        readings: alternative spellings in the valid rows, with the values they were read as.
        dialects: dialects of the input files with their number of files, without Parquet files.
    """

    format: int = 1
    plan: ScorePlan
    created: str
    rows: int
    rejected: int
    expected_subscriptions: float
    worth_calling: int
    parts: tuple[PartDone, ...]
    quarantine: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()
    dialects: tuple[FilesOfDialect, ...] = ()


class OutputFolder(Protocol):
    """Named files in one folder."""

    uri: str

    def put(self, path: Path, name: str) -> None:
        """Copy a file into the folder, atomically."""

    def get(self, name: str) -> bytes | None:
        """Return a file's content, or None if there is no such file."""

    def names(self) -> list[str]:
        """List the names of all files."""

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""


class LocalFolder:
    """A local folder, which is created with its first file. Raises ConfigError if it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.uri = str(self._path)
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file: name a folder for the results")

    def put(self, path: Path, name: str) -> None:
        """See `OutputFolder`."""
        target = self._path / name
        fresh = target.with_name(f".{target.name}.fresh")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, fresh.open("wb") as file:
                shutil.copyfileobj(source, file, 2**20)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
        except OSError as error:
            raise ConfigError(
                f"cannot write {target} ({error.strerror}): free some space, or name another folder"
            ) from error

    def get(self, name: str) -> bytes | None:
        """See `OutputFolder`."""
        path = self._path / name
        return path.read_bytes() if path.exists() else None

    def names(self) -> list[str]:
        """See `OutputFolder`."""
        return sorted(str(each.relative_to(self._path)) for each in self._path.rglob("*") if each.is_file())

    def delete(self, name: str) -> None:
        """See `OutputFolder`."""
        (self._path / name).unlink(missing_ok=True)


class BucketFolder:
    """A folder in the object store. Raises the errors of the store."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix.rstrip("/") + "/"
        self.uri = bucket.uri(self._prefix)

    def put(self, path: Path, name: str) -> None:
        """See `OutputFolder`."""
        self._bucket.upload(path, self._prefix + name)

    def get(self, name: str) -> bytes | None:
        """See `OutputFolder`."""
        try:
            return self._bucket.get(self._prefix + name)
        except SourceError:
            return None

    def names(self) -> list[str]:
        """See `OutputFolder`."""
        return [key.removeprefix(self._prefix) for key in self._bucket.keys(self._prefix)]

    def delete(self, name: str) -> None:
        """See `OutputFolder`."""
        self._bucket.delete(self._prefix + name)


def output_folder(output: str, store: ObjectStore) -> OutputFolder:
    """Return the folder of a local path or an `s3://bucket/folder` URI. Raises ConfigError."""
    refuse_scheme(output)
    if not output.startswith("s3://"):
        return LocalFolder(Path(output))
    name, prefix = split_uri(output)
    return BucketFolder(store.bucket(name), prefix)


def read_manifest(folder: OutputFolder) -> ScoreManifest | None:
    """Read the manifest; None if there are no finished results. Raises IntegrityError if it is damaged."""
    content = folder.get(MANIFEST)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=ScoreManifest)
    except msgspec.DecodeError as error:
        raise IntegrityError(
            f"{folder.uri.rstrip('/')}/{MANIFEST} is not a manifest of scores ({error}): name another folder"
        ) from error


def prepare(folder: OutputFolder, overwrite: bool, scratch: Path) -> None:
    """Withdraw earlier results, if `overwrite` allows it, and check that the folder is writable.

    Raises ConfigError if the folder has files that no run wrote, or results to keep, or cannot be written.
    """
    names = folder.names()
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if foreign:
        raise ConfigError(f"{folder.uri} holds other files, such as {foreign[0]}: name a folder for the results alone")
    if MANIFEST in names:
        if not overwrite:
            raise ConfigError(f"{folder.uri} holds the results of another run: name another folder, or add --overwrite")
        folder.delete(MANIFEST)
    path = scratch / _UNFINISHED
    path.touch()
    folder.put(path, _UNFINISHED)
    path.unlink()


def publish(folder: OutputFolder, manifest: ScoreManifest, scratch: Path) -> None:
    """Delete the leftovers of earlier runs, then write the manifest."""
    kept = {*(part.name for part in manifest.parts), *manifest.quarantine}
    for name in folder.names():
        if name not in kept:
            folder.delete(name)
    path = scratch / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    folder.put(path, MANIFEST)
