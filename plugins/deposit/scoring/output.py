"""Where the results go: a folder of this machine or of the object store, which counts once its manifest is there."""

import os
import re
import shutil
from pathlib import Path
from typing import Protocol

import msgspec

from deposit.data.readings import Reading
from deposit.errors import ConfigError, IntegrityError, SourceError
from deposit.scoring.inputs import refuse_scheme
from deposit.scoring.journal import PartDone, ScorePlan
from deposit.store import Bucket, ObjectStore, split_uri

MANIFEST = "_manifest.json"
QUARANTINE = "_quarantine"
_UNFINISHED = "_unfinished"
"""Is there from a run's start to its end, and shows at the start that the folder can be written."""
_OURS = re.compile(
    rf"({QUARANTINE}/)?\.?(part-\d+\.parquet|run-\d+\.csv|{_UNFINISHED}|{re.escape(MANIFEST)})(\.fresh)?"
)


class ScoreManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a folder of results holds; written last.

    Args:
        plan: what was scored, by which model.
        created: in UTC and ISO form.
        rows: with a score.
        rejected: bad rows, in the files `quarantine`.
        expected_subscriptions: if all were called.
        worth_calling: rows whose expected value is above 0.
        parts: best rows first.
        readings: what of the good rows was read by its spelling.
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


class OutputFolder(Protocol):
    """Files by name under one folder."""

    uri: str

    def put(self, path: Path, name: str) -> None:
        """Copy a file there: whole, or not at all."""

    def get(self, name: str) -> bytes | None:
        """A file's content; None if there is none."""

    def names(self) -> list[str]:
        """Of all files there."""

    def delete(self, name: str) -> None:
        """Remove a file; none there is fine."""


class LocalFolder:
    """A folder of this machine; it is made when the first file comes. Raises ConfigError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.uri = str(self._path)
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file: name a folder for the results")

    def put(self, path: Path, name: str) -> None:
        """As `OutputFolder` says."""
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
        """As `OutputFolder` says."""
        path = self._path / name
        return path.read_bytes() if path.exists() else None

    def names(self) -> list[str]:
        """As `OutputFolder` says."""
        return sorted(str(each.relative_to(self._path)) for each in self._path.rglob("*") if each.is_file())

    def delete(self, name: str) -> None:
        """As `OutputFolder` says."""
        (self._path / name).unlink(missing_ok=True)


class BucketFolder:
    """A folder of the object store. Raises as the store does."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix.rstrip("/") + "/"
        self.uri = bucket.uri(self._prefix)

    def put(self, path: Path, name: str) -> None:
        """As `OutputFolder` says."""
        self._bucket.upload(path, self._prefix + name)

    def get(self, name: str) -> bytes | None:
        """As `OutputFolder` says."""
        try:
            return self._bucket.get(self._prefix + name)
        except SourceError:
            return None

    def names(self) -> list[str]:
        """As `OutputFolder` says."""
        return [key.removeprefix(self._prefix) for key in self._bucket.keys(self._prefix)]

    def delete(self, name: str) -> None:
        """As `OutputFolder` says."""
        self._bucket.delete(self._prefix + name)


def output_folder(output: str, store: ObjectStore) -> OutputFolder:
    """The folder of a path or an `s3://bucket/folder` URI. Raises ConfigError."""
    refuse_scheme(output)
    if not output.startswith("s3://"):
        return LocalFolder(Path(output))
    name, prefix = split_uri(output)
    return BucketFolder(store.bucket(name), prefix)


def read_manifest(folder: OutputFolder) -> ScoreManifest | None:
    """The manifest of results that are there; None if there are none, or unfinished ones. Raises IntegrityError."""
    content = folder.get(MANIFEST)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=ScoreManifest)
    except msgspec.DecodeError as error:
        raise IntegrityError(
            f"{folder.uri.rstrip('/')}/{MANIFEST} is no manifest of scores ({error}): name another folder"
        ) from error


def prepare(folder: OutputFolder, overwrite: bool, scratch: Path) -> None:
    """Take back what was published there, which `overwrite` must allow, and see that it can be written.

    Raises ConfigError for what is not ours, and for a folder that cannot be written.
    """
    names = folder.names()
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if foreign:
        raise ConfigError(f"{folder.uri} holds other files, as {foreign[0]}: name a folder for the results alone")
    if MANIFEST in names:
        if not overwrite:
            raise ConfigError(f"{folder.uri} holds the results of another run: name another folder, or add --overwrite")
        folder.delete(MANIFEST)
    path = scratch / _UNFINISHED
    path.touch()
    folder.put(path, _UNFINISHED)
    path.unlink()


def publish(folder: OutputFolder, manifest: ScoreManifest, scratch: Path) -> None:
    """Remove what an earlier run left there, then write the manifest."""
    kept = {*(part.name for part in manifest.parts), *manifest.quarantine}
    for name in folder.names():
        if name not in kept:
            folder.delete(name)
    path = scratch / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    folder.put(path, MANIFEST)
