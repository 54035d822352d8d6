"""What a service's image is built from: the base, which holds the locked dependencies, and one Bento."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deposit.release.targets.archive import unpack

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
