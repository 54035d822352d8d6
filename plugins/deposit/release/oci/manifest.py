"""Image manifests in OCI's and Docker's format: select one by architecture, and add the layer of a Bento to it.

Layers are reproducible: the same archive gives the same bytes on any machine at any time.

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
"""Media type of a layer, by the media type of the manifest."""
MANIFESTS = tuple(_LAYERS)


@dataclass(frozen=True)
class Layer:
    """A layer of an image.

    Args:
        data: gzipped tar file.
        diff_id: digest of the uncompressed tar file, `sha256:…`, which does not depend on the version of zlib.
    """

    data: bytes
    diff_id: str

    @property
    def digest(self) -> str:
        """Digest of `data`, `sha256:…`."""
        return sha256(self.data)


@dataclass(frozen=True)
class ImageManifest:
    """The manifest of an image, or an index of several, as the exact bytes in the registry: its digest is of these."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Digest of `data`, `sha256:…`."""
        return sha256(self.data)

    @property
    def content(self) -> dict[str, Any]:
        """The parsed manifest. Raises ReleaseError if `data` is not a manifest."""
        try:
            content = json.loads(self.data)
        except ValueError:
            content = None
        if not isinstance(content, dict) or self.media_type not in (*MANIFESTS, *INDEXES):
            raise ReleaseError(f"the manifest {self.digest} has the media type {self.media_type!r}: it is not an image")
        return content

    @property
    def config_digest(self) -> str:
        """Digest of the configuration of an image."""
        return str(self.content["config"]["digest"])

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Descriptors (`digest`, `size`) of the layers of an image, bottom layer first."""
        layers: list[dict[str, Any]] = self.content["layers"]
        return layers


def of_architecture(index: ImageManifest, architecture: str) -> str:
    """Return the digest of the Linux image for an architecture like `amd64`. Raises ReleaseError if there is none."""
    platforms: dict[tuple[str, str], str] = {}
    for entry in index.content["manifests"]:
        platform = entry.get("platform", {})
        platforms.setdefault((str(platform.get("os")), str(platform.get("architecture"))), entry["digest"])
    digest = platforms.get(("linux", architecture))
    if digest is None:
        # attestations are in the index as unknown/unknown
        names = sorted(f"{system}/{name}" for system, name in platforms if system != "unknown")
        raise ReleaseError(
            f"the base image exists for {', '.join(names) or 'no platform'}, but not for linux/{architecture}: "
            "build it for that, or correct DEPOSIT_RELEASE__ARCHITECTURE"
        )
    return digest


def with_layer(
    base: ImageManifest, config: bytes, layer: Layer, labels: Mapping[str, str], created_by: str
) -> tuple[ImageManifest, bytes]:
    """Return the manifest and configuration of the base image with a layer on top.

    Args:
        base: manifest of the base image.
        config: configuration of the base image, as JSON.
        layer: layer to add.
        labels: labels to add to those of the base image.
        created_by: description of the layer in the history of the image.
    """
    changed = json.loads(config)
    changed["rootfs"]["diff_ids"] = [*changed["rootfs"]["diff_ids"], layer.diff_id]
    # the creation time of the base: the image must be reproducible
    created = {"created": changed["created"]} if "created" in changed else {}
    changed["history"] = [*changed.get("history", []), {**created, "created_by": created_by}]
    settings = changed.setdefault("config", {})
    settings["Labels"] = {**(settings.get("Labels") or {}), **labels}
    new_config = _encode(changed)
    content = base.content
    content["config"] = {**content["config"], "digest": sha256(new_config), "size": len(new_config)}
    descriptor = {"mediaType": _LAYERS[base.media_type], "digest": layer.digest, "size": len(layer.data)}
    content["layers"] = [*content["layers"], descriptor]
    # annotations and subject (signatures, attestations) are valid for the base image only
    content.pop("annotations", None)
    content.pop("subject", None)
    return ImageManifest(base.media_type, _encode(content)), new_config


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    """Return a digest in the format of registries, `sha256:…`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def bento_layer(archive: Path) -> Layer:
    """Build a layer with the unpacked Bento at `BENTO`. Raises ReleaseError if `archive` is not a Bento."""
    plain = io.BytesIO()
    with unpacked_bento(archive) as folder, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as layer:
        # sorted by name, so a folder comes before its content
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
