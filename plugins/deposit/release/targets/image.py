"""Safe extraction of a Bento's archive. Python has no extraction filters before 3.11.4, and Debian 12's is older."""

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
    """Extract regular files and folders below `folder`; owners and modes of the archive are ignored.

    Raises ReleaseError for links, devices and paths outside of the folder.
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
    path = folder / name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = content.extractfile(member)
    if source is None:
        raise ReleaseError(f"the Bento's archive has no content for {member.name!r}: package it again")
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)


BENTO = Path("/bento")
"""Path of the Bento in the image."""
USER = 10001
"""User and group ID of the service."""
_HOME_FOLDERS = ("bentos", "envs", "models", "tmp")
"""Folders that BentoML creates in its home at start, which fails on a read-only file system."""


@contextmanager
def unpacked_bento(archive: Path) -> Iterator[Path]:
    """Yield a temporary folder with a subfolder `bento`: the content of an image at `BENTO`.

    Raises ReleaseError if `archive` is not a Bento.
    """
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        bento = Path(folder) / "bento"
        unpack(archive, bento)
        for name in _HOME_FOLDERS:
            (bento / name).mkdir(exist_ok=True)
        yield Path(folder)


@contextmanager
def build_context(archive: Path, base: str) -> Iterator[Path]:
    """Yield a folder with a Dockerfile and the unpacked Bento. Raises ReleaseError if `archive` is not a Bento."""
    with unpacked_bento(archive) as context:
        (context / "Dockerfile").write_text(f"FROM {base}\nCOPY --chown={USER}:{USER} bento {BENTO}\n")
        yield context


def read_parity(image: tarfile.TarFile, bento_tag: str) -> dict[str, Any]:
    """Return the content of `parity.json` from the files of an image. Raises ReleaseError if missing or broken."""
    for member in image:
        file = image.extractfile(member) if member.name.endswith("/parity.json") else None
        with suppress(ValueError):
            if file is not None:
                content: dict[str, Any] = json.load(file)
                return content
    raise ReleaseError(f"{bento_tag} has no readable parity.json: package it again")
