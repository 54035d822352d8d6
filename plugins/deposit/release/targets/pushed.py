"""What targets have in common whose services start from an image in a registry."""

from pathlib import Path
from typing import Any

from deposit.errors import ReleaseError
from deposit.release.oci.ecr import ServiceImages
from deposit.release.repository import Release
from deposit.sections import ReleaseSettings


class PushedTarget:
    """Installs a Bento by pushing its image."""

    def __init__(self, release: ReleaseSettings) -> None:
        self._images = ServiceImages(release)

    def install(self, release: Release, archive: Path) -> None:
        """Push the image: seconds, since the base is there."""
        self._images.push(release, archive)

    def installed(self, release: Release) -> bool:
        """Whether the registry has the image, on the base of today."""
        return self._images.find(release) is not None

    def parity(self, release: Release) -> dict[str, Any]:
        """The rows and probabilities in the image's layer."""
        return self._images.parity(release)

    def image(self, release: Release) -> str:
        """The image of a release, by digest. Raises ReleaseError if it is gone."""
        image = self._images.find(release)
        if image is None:
            raise ReleaseError(f"the image of {release.bento_tag} is gone from the registry: release again")
        return image
