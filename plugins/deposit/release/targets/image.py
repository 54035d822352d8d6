"""A Bento's archive, unpacked. Python before 3.11.4 has no extraction filters, and Debian 12's is older."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from deposit.errors import ReleaseError


def unpack(archive: Path, folder: Path) -> None:
    """Write the archive's files beneath `folder`: no links, no devices, no way out, nobody's owner or mode.

    Raises ReleaseError naming what does not belong in a Bento.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as content:
            for member in content:
                _write(content, member, folder)
    except tarfile.TarError as error:
        raise ReleaseError(f"{archive.name} is not a Bento archive: {error}") from error


def _write(content: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise ReleaseError(f"the Bento's archive holds {member.name!r}, which is no file beneath it: package it again")
    place = folder / name
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    source = content.extractfile(member)
    if source is None:
        raise ReleaseError(f"the Bento's archive gives no content for {member.name!r}: package it again")
    with source, place.open("wb") as target:
        shutil.copyfileobj(source, target)


BENTO = Path("/bento")
"""Where the Bento lies in the image."""
_USER = "10001:10001"
_MADE_AT_START = ("bentos", "envs", "models", "tmp")
"""BentoML makes these folders of its home at start, which a read-only file system would refuse."""


@contextmanager
def build_context(archive: Path, base: str) -> Iterator[Path]:
    """A folder with a Dockerfile and the unpacked Bento, for as long as the block lasts.

    Raises ReleaseError if `archive` is not one.
    """
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        context = Path(folder)
        unpack(archive, context / "bento")
        for name in _MADE_AT_START:
            (context / "bento" / name).mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM {base}\nCOPY --chown={_USER} bento {BENTO}\n")
        yield context
