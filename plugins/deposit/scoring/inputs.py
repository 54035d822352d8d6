"""Find the files to score, on this machine or in the object store."""

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
"""Name that Spark and Hive give a partition folder whose column is empty."""


class InputFile(msgspec.Struct, frozen=True):
    """One input file.

    Args:
        uri: local path or object URI.
        size: size in bytes.
        version: version of the content: the object's ETag, or the modification time of a local file.
        partition: values that the folders above set for all rows of the file, by column, as in `month=may`.
    """

    uri: str
    size: int
    version: str
    partition: dict[str, str] = {}


def find_inputs(source: str, store: ObjectStore) -> list[InputFile]:
    """Find the input files of a path (a file, a folder or a pattern), sorted by name.

    Skips empty files, and names that begin with `_` or `.`, such as manifests. Raises SourceError if no file is left,
    and the errors of the store.
    """
    refuse_scheme(source)
    inputs = _objects(source, store) if source.startswith(_SCHEME) else _files(source)
    if not inputs:
        raise SourceError(f"{source}: there is no file with rows: name a file, a folder, or a pattern with `*`")
    return sorted(inputs, key=lambda each: each.uri)


def refuse_scheme(path: str) -> None:
    """Raise ConfigError for a path that is neither local nor in the object store."""
    if not path:
        raise ConfigError("the path is empty: name a file, a folder or a pattern, here or as s3://bucket/…")
    if _ANY_SCHEME.match(path) and not path.startswith(_SCHEME):
        raise ConfigError(f"{path}: the scheme is not supported: name a local path or s3://bucket/…")


def whole_path(path: str) -> str:
    """Resolve links and dots of a local path; a path of the object store is returned unchanged."""
    return path if path.startswith(_SCHEME) else str(Path(path).resolve())


def reads(source: str, name: str) -> bool:
    """Whether the folder `source`, as input, would include a file of that name; the file need not exist yet."""
    if _MAGIC.search(source):
        return False
    root = f"{whole_path(source).rstrip('/')}/"
    return name.startswith(root) and _is_input(PurePosixPath(name[len(root) :]))


@contextmanager
def local_copy(source: InputFile, folder: Path, store: ObjectStore) -> Iterator[Path]:
    """Provide the file on this machine inside the block. Raises SourceError if it has changed since it was found."""
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
    folders = [each for each in named if each.is_dir() and not each.is_symlink()]  # links may form a loop
    below = {file for each in folders for file in each.rglob("*") if _is_input(file.relative_to(root))}
    return [file for each in below.union(named) if each.is_file() for file in _file(each)]


def _file(path: Path) -> list[InputFile]:
    """The file as the only input, or none if it is empty."""
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
    """Partition values of all folders above a file, including those of the input path itself."""
    pairs = (part.partition("=") for part in path.parts[:-1])
    return {name: "" if value == _NULL else unquote(value) for name, sign, value in pairs if sign}
