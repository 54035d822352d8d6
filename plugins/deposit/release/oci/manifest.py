"""Manifests of images, of OCI's form and of Docker's: which one fits a machine, and one with a Bento's layer more.

The same archive gives the same layer, byte for byte, whoever makes it and when.

Sources: OCI image specification 1.1 (image index, manifest, configuration) and Docker's image manifest 2.2.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deposit.errors import ReleaseError
from deposit.release.targets.image import USER, unpacked_bento

_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker"
INDEXES = (f"{_OCI}.index.v1+json", f"{_DOCKER}.distribution.manifest.list.v2+json")
_LAYERS = {
    f"{_OCI}.manifest.v1+json": f"{_OCI}.layer.v1.tar+gzip",
    f"{_DOCKER}.distribution.manifest.v2+json": f"{_DOCKER}.image.rootfs.diff.tar.gzip",
}
"""Media type of a layer by that of the manifest."""
MANIFESTS = tuple(_LAYERS)


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


@dataclass(frozen=True)
class ImageManifest:
    """What a registry keeps of an image under a tag: the very bytes, by which it is known."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """`sha256:…`."""
        return sha256(self.data)

    @property
    def content(self) -> dict[str, Any]:
        """Parsed. Raises ReleaseError if it is no manifest."""
        try:
            content = json.loads(self.data)
        except ValueError:
            content = None
        if not isinstance(content, dict) or self.media_type not in (*MANIFESTS, *INDEXES):
            raise ReleaseError(f"the manifest {self.digest} is of the kind {self.media_type!r}, which is no image's")
        return content

    @property
    def config_digest(self) -> str:
        """Of the configuration of an image."""
        return str(self.content["config"]["digest"])

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Descriptors (`digest`, `size`) of an image, the lowest first."""
        layers: list[dict[str, Any]] = self.content["layers"]
        return layers


def of_architecture(index: ImageManifest, architecture: str) -> str:
    """The digest of the Linux image for an architecture, as `amd64`. Raises ReleaseError if there is none."""
    platforms: dict[tuple[str, str], str] = {}
    for entry in index.content["manifests"]:
        platform = entry.get("platform", {})
        platforms.setdefault((str(platform.get("os")), str(platform.get("architecture"))), entry["digest"])
    digest = platforms.get(("linux", architecture))
    if digest is None:
        # an attestation stands in the index as unknown/unknown
        names = sorted(f"{system}/{name}" for system, name in platforms if system != "unknown")
        raise ReleaseError(
            f"the base image is there for {', '.join(names) or 'no machine'} and not for linux/{architecture}: "
            "build it for that, or correct DEPOSIT_RELEASE__ARCHITECTURE"
        )
    return digest


def with_layer(
    base: ImageManifest, config: bytes, layer: Layer, labels: Mapping[str, str], created_by: str
) -> tuple[ImageManifest, bytes]:
    """The manifest and configuration of the base image with a layer on top.

    Args:
        base: an image's manifest.
        config: its configuration, as the registry has it.
        layer: what comes on top.
        labels: added to the base's.
        created_by: what the image's history says of the layer.
    """
    changed = json.loads(config)
    changed["rootfs"]["diff_ids"] = [*changed["rootfs"]["diff_ids"], layer.diff_id]
    # the base's own time: the image must be the same whenever it is made
    moment = {"created": changed["created"]} if "created" in changed else {}
    changed["history"] = [*changed.get("history", []), {**moment, "created_by": created_by}]
    settings = changed.setdefault("config", {})
    settings["Labels"] = {**(settings.get("Labels") or {}), **labels}
    new_config = _encode(changed)
    content = base.content
    content["config"] = {**content["config"], "digest": sha256(new_config), "size": len(new_config)}
    descriptor = {"mediaType": _LAYERS[base.media_type], "digest": layer.digest, "size": len(layer.data)}
    content["layers"] = [*content["layers"], descriptor]
    # what vouches for the base says nothing of this image
    content.pop("annotations", None)
    content.pop("subject", None)
    return ImageManifest(base.media_type, _encode(content)), new_config


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


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
