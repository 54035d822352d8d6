"""Images of services in ECR: the base image that was pushed there, with a Bento as one layer on top."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from deposit.errors import ConfigError, ReleaseError
from deposit.release.aws import answered, aws_client
from deposit.release.oci.distribution import ImageRepository
from deposit.release.oci.manifest import INDEXES, ImageManifest, bento_layer, of_architecture, with_layer
from deposit.release.repository import Release
from deposit.release.targets.image import BENTO, read_parity
from deposit.sections import ReleaseSettings

_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_NAME = re.compile(r"(?P<host>[^/]+)/(?P<repository>[^:@]+)(?::(?P<tag>[^:@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_DIGITS = 12
"""Number of digits of a digest in a tag."""
_TIMEOUT = httpx.Timeout(30, read=120)


@dataclass(frozen=True)
class ImageName:
    """Name of a repository, `host/repository`, or of an image in it: `reference` is the tag or digest, else empty."""

    host: str
    repository: str
    reference: str

    @classmethod
    def parse(cls, text: str, setting: str) -> "ImageName":
        """Parse the value of a setting. Raises ConfigError naming the setting."""
        parts = _NAME.fullmatch(text)
        if parts is None:
            raise ConfigError(
                f"{setting} is not an image in a registry: {text!r} (expected host/repository, and :tag or @sha256:…)"
            )
        return cls(parts["host"], parts["repository"], parts["digest"] or parts["tag"] or "")


class ServiceImages:
    """Images of services, one per release.

    Raises ReleaseError if the registry rejects a request, UpstreamError if it does not answer.
    """

    def __init__(self, settings: ReleaseSettings) -> None:
        self._settings = settings
        self._name = ImageName.parse(settings.ecr_repository, "DEPOSIT_RELEASE__ECR_REPOSITORY")
        self._base = ImageName.parse(settings.base_image, "DEPOSIT_RELEASE__BASE_IMAGE")
        if self._base.host != self._name.host:
            raise ConfigError(
                f"DEPOSIT_RELEASE__BASE_IMAGE is in {self._base.host} and DEPOSIT_RELEASE__ECR_REPOSITORY in "
                f"{self._name.host}: push the base image to the same registry"
            )
        self._url = settings.registry_url or f"https://{self._name.host}"
        parts = urlsplit(self._url)
        if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
            raise ConfigError("DEPOSIT_RELEASE__REGISTRY_URL must be https; http is allowed on this machine only")

    def find(self, release: Release) -> str | None:
        """Return the image of a release on the current base, `host/repository@sha256:…`; None if it is not pushed."""
        with self._repositories() as (images, bases):
            image = images.manifest(self._tag(release, self._base_manifest(bases)))
            return None if image is None else self._by_digest(image)

    def push(self, release: Release, archive: Path) -> str:
        """Add the Bento's layer to the base image, push the blobs that the registry lacks, and return as `find` does.

        Idempotent. Also raises ReleaseError if there is no base image, or if another image has the immutable tag.
        """
        layer = bento_layer(archive)
        with self._repositories() as (images, bases):
            base = self._base_manifest(bases)
            labels = {
                "deposit.bento.sha256": release.bento_sha256,
                "deposit.base": base.digest,
                "org.opencontainers.image.title": f"deposit: {release.model_id}",
                "org.opencontainers.image.version": release.bento_tag,
            }
            config = bases.blob(base.config_digest)
            image, config = with_layer(base, config, layer, labels, f"deposit: {release.bento_tag} in {BENTO}")
            tag = self._tag(release, base)
            pushed = images.manifest(tag)
            if pushed is not None:
                if pushed.digest != image.digest and layer.diff_id not in _diff_ids(images, pushed):
                    raise ReleaseError(
                        f"{self._settings.ecr_repository}:{tag} is another image than this Bento's: remove it, and "
                        "release again"
                    )
                return self._by_digest(pushed)
            for descriptor in base.layers:
                images.copy_blob(descriptor["digest"], descriptor["size"], bases)
            images.put_blob(layer.digest, layer.data)
            images.put_blob(image.config_digest, config)
            images.put_manifest(tag, image)
        return self._by_digest(image)

    def parity(self, release: Release) -> dict[str, Any]:
        """Return the content of the model's `parity.json`. Raises ReleaseError if it is missing or broken."""
        with self._repositories() as (images, bases):
            image = images.manifest(self._tag(release, self._base_manifest(bases)))
            if image is None:
                raise ReleaseError(f"the image of {release.bento_tag} was removed from the registry: release again")
            packed = images.blob(image.layers[-1]["digest"])
        with tarfile.open(fileobj=io.BytesIO(packed)) as layer:
            return read_parity(layer, release.bento_tag)

    def _base_manifest(self, bases: ImageRepository) -> ImageManifest:
        reference = self._base.reference or "latest"
        manifest = bases.manifest(reference)
        if manifest is not None and manifest.media_type in INDEXES:
            manifest = bases.manifest(of_architecture(manifest, self._settings.architecture))
        if manifest is None:
            raise ReleaseError(
                f"there is no base image {self._settings.base_image}: push it, or correct DEPOSIT_RELEASE__BASE_IMAGE"
            )
        return manifest

    def _tag(self, release: Release, base: ImageManifest) -> str:
        """Return the tag of an image. It has both digests: tags are immutable, and a new base makes a new image."""
        return f"{release.bento_sha256[:_DIGITS]}-{base.digest.partition(':')[2][:_DIGITS]}"

    def _by_digest(self, image: ImageManifest) -> str:
        return f"{self._name.host}/{self._name.repository}@{image.digest}"

    @contextmanager
    def _repositories(self) -> Iterator[tuple[ImageRepository, ImageRepository]]:
        """Yield the repositories of the services' images and of the base image."""
        headers = {"Authorization": f"Basic {token}"} if (token := _token(self._name.host)) else {}
        with httpx.Client(
            base_url=self._url,
            headers=headers,
            timeout=_TIMEOUT,
            follow_redirects=True,  # ECR redirects blobs to S3
            trust_env=self._url.startswith("https:"),  # plain http is this machine: use no proxy
        ) as client:
            host = self._name.host
            yield (
                ImageRepository(client, host, self._name.repository),
                ImageRepository(client, host, self._base.repository),
            )


def _diff_ids(images: ImageRepository, image: ImageManifest) -> list[str]:
    config = json.loads(images.blob(image.config_digest))
    return list(config["rootfs"]["diff_ids"])


def _token(host: str) -> str | None:
    """Return the base64 of `user:password` for ECR, valid for 12 hours; None for another registry."""
    ecr = _ECR.fullmatch(host)
    if ecr is None:
        return None
    with answered("log in to ECR"):
        response = aws_client("ecr", ecr["region"]).get_authorization_token()
    return str(response["authorizationData"][0]["authorizationToken"])


class PushedTarget:
    """Base of the AWS targets: installs a Bento by pushing its image."""

    def __init__(self, release: ReleaseSettings) -> None:
        self._images = ServiceImages(release)

    def install(self, release: Release, archive: Path) -> None:
        """Push the image. It takes seconds, since the base image is in the registry."""
        self._images.push(release, archive)

    def installed(self, release: Release) -> bool:
        """Whether the registry has the image on the current base image."""
        return self._images.find(release) is not None

    def parity(self, release: Release) -> dict[str, Any]:
        """Return the content of `parity.json` in the layer of the Bento."""
        return self._images.parity(release)

    def image(self, release: Release) -> str:
        """Return the image of a release, by digest. Raises ReleaseError if it was removed."""
        image = self._images.find(release)
        if image is None:
            raise ReleaseError(f"the image of {release.bento_tag} was removed from the registry: release again")
        return image
