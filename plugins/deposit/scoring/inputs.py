"""What is to be scored: the files that a path names, on this machine or in the object store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote

import msgspec

from deposit.errors import ConfigError, SourceError
from deposit.store import ObjectStore

_SCHEME = "s3://"
_ANY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_MAGIC = re.compile(r"[*?\[]")
_NULL = "__HIVE_DEFAULT_PARTITION__"
"""What Spark and Hive call the folder of rows whose column is empty."""


class InputFile(msgspec.Struct, frozen=True):
    """One file.

    Args:
        uri: where it is.
        size: bytes.
        version: of its content: the store's tag, or the time of a file's last change.
        partition: what the folders above it say of all its rows, by column: `month=may`.
    """

    uri: str
    size: int
    version: str
    partition: dict[str, str] = {}


def find_inputs(source: str, store: ObjectStore) -> list[InputFile]:
    """The files of a path: one file, all of a folder, or those of a pattern; in the order of their names.

    Names that begin with `_` or `.`, as of manifests, and empty files are left out. Raises SourceError if none is left,
    and as the store does.
    """
    refuse_scheme(source)
    inputs = _objects(source, store) if source.startswith(_SCHEME) else _files(source)
    if not inputs:
        raise SourceError(f"{source}: there is no file with rows; name a file, a folder, or a pattern with `*`")
    return sorted(inputs, key=lambda each: each.uri)


def refuse_scheme(path: str) -> None:
    """Raise ConfigError for what is neither a path of this machine nor one of the object store."""
    if not path:
        raise ConfigError("the path is empty: name a file, a folder or a pattern, here or as s3://bucket/…")
    if _ANY_SCHEME.match(path) and not path.startswith(_SCHEME):
        raise ConfigError(f"{path}: paths of this machine and s3://bucket/… are read alone: write it as one of both")


def whole_path(path: str) -> str:
    """A path of this machine without links and dots; one of the store as it is."""
    return path if path.startswith(_SCHEME) else str(Path(path).resolve())


def reads(source: str, name: str) -> bool:
    """Whether a folder as input would have a file of that name among its files: asked for files that are to come."""
    if _MAGIC.search(source):
        return False
    root = f"{whole_path(source).rstrip('/')}/"
    return name.startswith(root) and _is_input(PurePosixPath(name[len(root) :]))


@contextmanager
def local_copy(source: InputFile, folder: Path, store: ObjectStore) -> Iterator[Path]:
    """The file on this machine, in the block alone. Raises SourceError if it is no longer what it was."""
    path = Path(source.uri)
    if source.uri.startswith(_SCHEME):
        path = folder / "input"
        store.download(source.uri, path)
    _refuse_change(source, store)
    try:
        yield path
    finally:
        if source.uri.startswith(_SCHEME):
            path.unlink(missing_ok=True)
    _refuse_change(source, store)


def _refuse_change(source: InputFile, store: ObjectStore) -> None:
    (now,) = find_inputs(source.uri, store)
    if (now.size, now.version) != (source.size, source.version):
        raise SourceError(f"{source.uri} has changed while it was read: score again when it is complete")


def _files(source: str) -> list[InputFile]:
    path = Path(source)
    if path.is_file():
        return _file(path)
    if path.is_dir():
        return _files_in(path, "*")
    fixed = next((place for place, part in enumerate(path.parts) if _MAGIC.search(part)), None)
    if fixed is None:
        return []
    return _files_in(Path(*path.parts[:fixed]), "/".join(path.parts[fixed:]))


def _files_in(root: Path, pattern: str) -> list[InputFile]:
    named = [each for each in root.glob(pattern) if _is_input(each.relative_to(root))]
    folders = [each for each in named if each.is_dir() and not each.is_symlink()]  # a link may lead in a circle
    below = {file for each in folders for file in each.rglob("*") if _is_input(file.relative_to(root))}
    return [file for each in below.union(named) if each.is_file() for file in _file(each)]


def _file(path: Path) -> list[InputFile]:
    """The file, unless it is empty."""
    facts, whole = path.stat(), path.absolute()
    return [InputFile(str(whole), facts.st_size, str(facts.st_mtime_ns), _partition(whole))] if facts.st_size else []


def _objects(source: str, store: ObjectStore) -> list[InputFile]:
    name, _, key = source.removeprefix(_SCHEME).partition("/")
    if not name:
        raise ConfigError(f"{source} names no bucket: write s3://bucket/…")
    magic = _MAGIC.search(key)
    root = key[: key.rfind("/", 0, magic.start()) + 1] if magic else f"{key.rstrip('/')}/".lstrip("/")
    bucket = store.bucket(name)
    objects = bucket.objects(root if magic else key)
    chosen = [each for each in objects if each.key == key] or [
        each
        for each in objects
        if each.key.startswith(root)
        and _is_input(PurePosixPath(each.key[len(root) :]))
        and (magic is None or fnmatchcase(each.key, key))
    ]
    return [
        InputFile(bucket.uri(each.key), each.size, each.etag, _partition(PurePosixPath(each.key)))
        for each in chosen
        if each.size
    ]


def _is_input(relative: PurePath) -> bool:
    return not any(part.startswith(("_", ".")) for part in relative.parts)


def _partition(path: PurePath) -> dict[str, str]:
    """Of all folders above a file, also of those that the input's path names."""
    pairs = (part.partition("=") for part in path.parts[:-1])
    return {name: "" if value == _NULL else unquote(value) for name, sign, value in pairs if sign}
