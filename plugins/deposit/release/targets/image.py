"""A Bento's archive, unpacked. Python before 3.11.4 has no extraction filters, and Debian 12's is older."""

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

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
USER = 10001
"""User and group of what serves."""
_MADE_AT_START = ("bentos", "envs", "models", "tmp")
"""BentoML makes these folders of its home at start, which a read-only file system would refuse."""


@contextmanager
def unpacked_bento(archive: Path) -> Iterator[Path]:
    """A folder whose `bento` is what an image holds at `BENTO`, for as long as the block lasts.

    Raises ReleaseError if `archive` is no Bento.
    """
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        bento = Path(folder) / "bento"
        unpack(archive, bento)
        for name in _MADE_AT_START:
            (bento / name).mkdir(exist_ok=True)
        yield Path(folder)


@contextmanager
def build_context(archive: Path, base: str) -> Iterator[Path]:
    """A folder with a Dockerfile and the unpacked Bento. Raises ReleaseError as `unpacked_bento`."""
    with unpacked_bento(archive) as context:
        (context / "Dockerfile").write_text(f"FROM {base}\nCOPY --chown={USER}:{USER} bento {BENTO}\n")
        yield context


def read_parity(image: tarfile.TarFile, bento_tag: str) -> dict[str, Any]:
    """The rows and probabilities of the model in an image's files. Raises ReleaseError if missing or broken."""
    for member in image:
        file = image.extractfile(member) if member.name.endswith("/parity.json") else None
        with suppress(ValueError):
            if file is not None:
                content: dict[str, Any] = json.load(file)
                return content
    raise ReleaseError(f"{bento_tag} has no readable parity.json: package it again")
