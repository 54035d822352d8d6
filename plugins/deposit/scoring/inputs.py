"""What is to be scored: the files that a path names, on this machine or in the object store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote

import msgspec

from deposit.errors import SourceError
from deposit.store import ObjectStore, split_uri

_SCHEME = "s3://"
_MAGIC = re.compile(r"[*?\[]")


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
    inputs = _objects(source, store) if source.startswith(_SCHEME) else _files(source)
    if not inputs:
        raise SourceError(f"{source}: there is no file with rows; name a file, a folder, or a pattern with `*`")
    return sorted(inputs, key=lambda each: each.uri)


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
        return [_file(path, path.parent)] if path.stat().st_size else []
    if path.is_dir():
        return _files_in(path, "**/*")
    fixed = next((place for place, part in enumerate(path.parts) if _MAGIC.search(part)), None)
    if fixed is None:
        return []
    return _files_in(Path(*path.parts[:fixed]), "/".join(path.parts[fixed:]))


def _files_in(root: Path, pattern: str) -> list[InputFile]:
    files = [each for each in root.glob(pattern) if _is_input(each.relative_to(root)) and each.is_file()]
    return [_file(each, root) for each in files if each.stat().st_size]


def _file(path: Path, root: Path) -> InputFile:
    facts = path.stat()
    return InputFile(str(path.absolute()), facts.st_size, str(facts.st_mtime_ns), _partition(path.relative_to(root)))


def _objects(source: str, store: ObjectStore) -> list[InputFile]:
    name, key = split_uri(source)
    magic = _MAGIC.search(key)
    root = key[: key.rfind("/", 0, magic.start()) + 1] if magic else key.rstrip("/") + "/"
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
        InputFile(bucket.uri(each.key), each.size, each.etag, _partition(PurePosixPath(each.key[len(root) :])))
        for each in chosen
        if each.size
    ]


def _is_input(relative: PurePath) -> bool:
    return not any(part.startswith(("_", ".")) for part in relative.parts)


def _partition(relative: PurePath) -> dict[str, str]:
    pairs = (part.partition("=") for part in relative.parts[:-1])
    return {name: unquote(value) for name, sign, value in pairs if sign}
