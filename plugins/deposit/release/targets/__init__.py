"""Where services run; the reconciler knows only this interface."""

from pathlib import Path
from typing import Any, Protocol

from deposit.release.repository import Release
from deposit.settings import Settings


class Target(Protocol):
    """Installs, starts and stops services. All methods may be repeated; UpstreamError where its server is down."""

    def install(self, release: Release, archive: Path) -> None:
        """Unpack a checked Bento archive; all or nothing."""

    def installed(self, release: Release) -> bool:
        """Whether the Bento of a release is unpacked."""

    def parity(self, release: Release) -> dict[str, Any]:
        """The training process's rows and probabilities (`parity.json`) of an installed release."""

    def start(self, release: Release) -> str:
        """Start the service, or leave it running; its address as `host:port`."""

    def stop(self, release_id: int) -> None:
        """Stop a service and forget it; none there is fine."""

    def problem(self, release_id: int) -> str | None:
        """Why a started service will not come up by itself, or None while it may."""

    def configuration(self, release: Release) -> str:
        """A digest of all that a service of this release is to be started with by now: settings, secrets, Bento."""

    def started_with(self, release_id: int) -> str | None:
        """That digest of a service as it was started; None if it is not known."""

    def running(self) -> dict[int, str]:
        """Addresses of the services that should run, by release."""

    def abandon(self) -> None:
        """The whole stack is being stopped: stop what would keep running by itself; `start` brings it back."""

    def prune(self, keep: set[str]) -> None:
        """Remove installed Bentos but those with these sha256."""


def target_for(settings: Settings) -> Target:
    """The target that the settings name."""
    if settings.release.target == "docker":
        from deposit.release.targets.docker import DockerTarget

        return DockerTarget(settings)
    from deposit.release.targets.process import ProcessTarget

    return ProcessTarget(settings)
