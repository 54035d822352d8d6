"""Spooling of sources into plain files, and full disks."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deposit.data.tables.unpacking import copy, unpacked
from deposit.errors import ConfigError, SourceError, located

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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


def from_file(path: Path, target: Path, where: str = "", wanted: str = "") -> Path:
    """Copy a file to `target`, unpacked whatever its name; of an archive with several files, the one named `wanted`.

    Raises SourceError, which names `where` or the path, if it cannot be read.
    """
    try:
        with (
            located(where or str(path)),
            unpacked(path.open("rb"), tempfile.TemporaryFile, wanted=wanted) as inner,
            target.open("wb") as made,
        ):
            copy(inner, made, None)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise SourceError(f"{path}: cannot be read ({error.strerror}): correct the path or its permissions") from error
    return target
