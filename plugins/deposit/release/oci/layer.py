"""A Bento as a layer of an image: the same archive gives the same bytes, whoever makes it and when."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from deposit.release.targets.image import USER, unpacked_bento


@dataclass(frozen=True)
class Layer:
    """A layer as it is uploaded.

    Args:
        data: a tar, gzipped.
        diff_id: digest of the tar itself, `sha256:…`: other versions of zlib compress it to other bytes.
    """

    data: bytes
    diff_id: str

    @property
    def digest(self) -> str:
        """Of `data`, `sha256:…`."""
        return sha256(self.data)


def sha256(data: bytes) -> str:
    """A digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def bento_layer(archive: Path) -> Layer:
    """The unpacked Bento under `BENTO`. Raises ReleaseError if `archive` is no Bento."""
    plain = io.BytesIO()
    with unpacked_bento(archive) as folder, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as layer:
        # in order of names, a folder before what is in it
        for path in sorted((folder / "bento", *(folder / "bento").rglob("*"))):
            _add(layer, path, path.relative_to(folder).as_posix())
    content = plain.getvalue()
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(content)
    return Layer(packed.getvalue(), sha256(content))


def _add(layer: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.uid = member.gid = USER
    if path.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        layer.addfile(member)
        return
    member.mode, member.size = 0o644, path.stat().st_size
    with path.open("rb") as file:
        layer.addfile(member, file)
