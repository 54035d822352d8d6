"""Unpack a file down to its innermost file."""

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import PurePosixPath
from typing import IO

from deposit.data.tables.formats import Format, few, format_of
from deposit.errors import SourceError, TooLargeError

NewFile = Callable[[], IO[bytes]]
Readable = IO[bytes] | gzip.GzipFile | lzma.LZMAFile
_CHUNK = 2**20
_LAYERS = 3
_INNERMOST = (Format.TEXT, Format.PARQUET, Format.WORKBOOK)
_NAMED = 5
_WHOLE = {Format.GZIP: ".gz file", Format.XZ: ".xz file", Format.ZIP: ".zip archive or workbook"}
_DAMAGED = (lzma.LZMAError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, EOFError)


def unpacked(file: IO[bytes], new: NewFile, limit: int | None = None, wanted: str = "") -> IO[bytes]:
    """Return the innermost file: `file` itself if it is not packed, else a file from `new()`; all others are closed.

    `wanted` names the file to take from an archive with several files. Raises SourceError (empty, damaged, unsupported
    format, or several files to choose from), or TooLargeError above `limit` bytes.
    """
    for _ in range(_LAYERS):
        with owned(file):
            kind = format_of(file)
            if kind in _INNERMOST:
                return file
            if kind not in _WHOLE:
                raise _refusal(kind)
            inner = new()
            with owned(inner):
                _unpack_to(file, kind, inner, limit, wanted)
        file.close()
        file = inner
    file.close()
    raise SourceError(f"the file is packed {_LAYERS} times or more: unpack it")


@contextmanager
def owned(file: IO[bytes]) -> Iterator[None]:
    """Close a file if the block fails."""
    try:
        yield
    except BaseException:
        file.close()
        raise


def _refusal(kind: Format) -> SourceError:
    return SourceError(f"this is {kind.title}, not a CSV: {kind.advice}")


def _unpack_to(file: IO[bytes], kind: Format, target: IO[bytes], limit: int | None, wanted: str) -> None:
    try:
        if kind is Format.ZIP:
            with zipfile.ZipFile(file) as archive:
                _extract(archive, target, limit, wanted)
        else:
            with gzip.open(file) if kind is Format.GZIP else lzma.open(file) as stream:
                copy(stream, target, limit)
    except _DAMAGED as error:
        raise SourceError(f"this is not a complete {_WHOLE[kind]}: fetch it again") from error


def copy(stream: Readable, target: IO[bytes], limit: int | None) -> None:
    """Copy a stream to a file. Raises TooLargeError above `limit` bytes."""
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLargeError(f"unpacked, the file is larger than {limit} bytes; split it")
        target.write(chunk)
    target.flush()


def _extract(archive: zipfile.ZipFile, target: IO[bytes], limit: int | None, wanted: str) -> None:
    entry = _entry(archive, wanted)
    try:
        with archive.open(entry) as stream:
            copy(stream, target, limit)
    except (RuntimeError, NotImplementedError) as error:  # a password, or an unsupported compression method
        raise SourceError(
            "the .zip archive is encrypted, or its compression is not supported: unpack it and send the CSV"
        ) from error


def _entry(archive: zipfile.ZipFile, wanted: str) -> str:
    """Choose the entry to read: the one named `wanted`, a nested archive that holds it, or the only one."""
    names = [name for name in archive.namelist() if _is_file(name)]  # macOS adds a metadata file for each file
    named = [name for name in names if PurePosixPath(name).name == wanted]
    named = named or [name for name in names if name.lower().endswith(".zip") and _holds(archive, name, wanted)]
    if named or len(names) == 1:
        return (named or names)[0]
    if not names:
        raise SourceError("the .zip archive holds no file: fetch it again")
    holds = f"holds no {wanted} but" if wanted else "holds"
    raise SourceError(
        f"the .zip archive {holds} {len(names)} files ({few([name[:80] for name in names], _NAMED)}): "
        "unpack it and send one"
    )


_LEFT_BEHIND = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*", re.IGNORECASE)
"""Files that operating systems and spreadsheets leave in a folder."""


def _is_file(name: str) -> bool:
    return not (name.endswith("/") or name.startswith("__MACOSX/") or _LEFT_BEHIND.fullmatch(PurePosixPath(name).name))


def _holds(archive: zipfile.ZipFile, name: str, wanted: str) -> bool:
    if not wanted:
        return False
    with archive.open(name) as stream, closing(zipfile.ZipFile(stream)) as inner:
        return any(PurePosixPath(entry).name == wanted for entry in inner.namelist() if _is_file(entry))
