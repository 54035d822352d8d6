"""Spooling of sources into plain files: decompression, nested zips, full disks."""

import errno
import gzip
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deposit.errors import ConfigError, SourceError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED = (lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError)


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder for one spooled source. Raises ConfigError if there is no room for it, or in it."""
    try:
        made = tempfile.TemporaryDirectory(prefix="deposit-")
    except OSError as error:
        raise ConfigError(f"cannot make a temporary folder ({error}): free disk space or set TMPDIR") from error
    with made as name, disk(Path(name)):
        yield Path(name)


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turn a full disk inside the block into ConfigError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ConfigError(f"no space left in {place}: free some, or set TMPDIR to a folder with more") from error


def from_file(path: Path, target: Path) -> Path:
    """Copy a file (plain, .gz or .xz) to `target`, decompressed. Raises SourceError if it cannot be read."""
    try:
        with _opened(path) as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy, 2**20)
    except _DAMAGED as error:
        raise SourceError(f"{path}: not a whole {path.suffix} file ({error}): fetch it again") from error
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise SourceError(f"{path}: cannot be read ({error.strerror}): correct the path or its permissions") from error
    return target


def from_zip(archive: Path, member: str, target: Path, where: str) -> Path:
    """Extract the file named `member`, from the zip or from a zip within it. Raises SourceError if there is none."""
    try:
        with zipfile.ZipFile(archive) as outer:
            if not _extract(outer, member, target) and not _extract_nested(outer, member, target):
                raise SourceError(f"{where}: the archive holds no {member}: check the address")
    except (zipfile.BadZipFile, *_DAMAGED) as error:
        raise SourceError(f"{where}: not a whole zip archive ({error}): fetch it again") from error
    return target


def _opened(path: Path) -> BinaryIO | gzip.GzipFile | lzma.LZMAFile:
    if path.suffix == ".xz":
        return lzma.open(path)
    if path.suffix == ".gz":
        return gzip.open(path)
    return path.open("rb")


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> bool:
    """Write the first entry of that name, whatever its folder; macOS's shadow files are not it."""
    names = [name for name in archive.namelist() if Path(name).name == member and not name.startswith("__MACOSX/")]
    if not names:
        return False
    with archive.open(names[0]) as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 2**20)
    return True


def _extract_nested(outer: zipfile.ZipFile, member: str, target: Path) -> bool:
    for name in outer.namelist():
        if name.endswith(".zip"):
            with outer.open(name) as stream, zipfile.ZipFile(stream) as inner:
                if _extract(inner, member, target):
                    return True
    return False
