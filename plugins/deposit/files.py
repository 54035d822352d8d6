"""Small files that others read while they are replaced."""

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, owner: int | None = None) -> None:
    """Write a file that only its owner can read: whole and on the disk, or not at all.

    `owner` is the user and the group that it is given to before it is there; the process needs the right to.
    """
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, owner, owner)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def beat(path: Path | None) -> None:
    """Renew the time of a file, if there is one: the sign of life of a loop that has no port to ask."""
    if path is not None:
        path.touch()
