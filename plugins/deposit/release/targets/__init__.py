"""Where services run and what leads clients to them; the reconciler knows only these interfaces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

from deposit.release.gateway import Gateway
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

    def start(self, release: Release) -> tuple[str, ...]:
        """Start the replicas, or leave them running; the address of each, which is the target's own word for it."""

    def client(self, address: str) -> httpx.Client:
        """What the service at an address is tested by; its paths are the service's."""

    def stop(self, release_id: int) -> None:
        """Stop a release's replicas and forget them; none there is fine."""

    def problem(self, release_id: int) -> str | None:
        """Why a started replica will not come up by itself, or None while all may."""

    def configuration(self, release: Release) -> str:
        """A digest of all that a service of this release is to be started with by now: settings, secrets, Bento."""

    def started_with(self, release_id: int) -> str | None:
        """That digest of a service as it was started; None if it is not known."""

    def running(self) -> dict[int, tuple[str, ...]]:
        """Addresses of the replicas that should run, by release."""

    def abandon(self) -> None:
        """The whole stack is being stopped: stop what would keep running by itself; `start` brings it back."""

    def prune(self, keep: set[str]) -> None:
        """Remove installed Bentos but those with these sha256."""


class Traffic(Protocol):
    """Leads clients to one of a target's services. All methods may be repeated; UpstreamError where it is down."""

    def repair(self) -> bool:
        """Correct its configuration if it runs with another one; whether that was needed."""

    def upstream(self) -> tuple[str, ...]:
        """Addresses of the replicas that share the requests now, as the target's `running` gives them."""

    def switch(self, release: Release, addresses: tuple[str, ...], test: Callable[[str], None]) -> tuple[str, ...]:
        """Send all requests to replicas that passed their tests; the addresses at which they run from then on.

        Where clients reach them on another way than they were tested by, `test` is called with that address. Raises
        ReleaseError if it does not take the requests or fails that test; what served before then does so again.
        """

    def withdraw(self) -> None:
        """Send requests to no service."""

    def answers(self) -> bool:
        """Whether it is there: when it is gone, the whole stack is being stopped."""


def target_for(settings: Settings) -> tuple[Target, Traffic]:
    """The target that the settings name, and what leads clients to its services."""
    if settings.release.target == "docker":
        from deposit.release.targets.docker import DockerTarget

        return DockerTarget(settings), Gateway(settings)
    if settings.release.target == "ecs":
        from deposit.release.targets.ecs import EcsTarget
        from deposit.release.targets.fargate import EcsService
        from deposit.release.targets.loadbalancer import EcsTraffic

        service = EcsService(settings.release, settings.store.region)
        return EcsTarget(settings, service), EcsTraffic(settings.release, service, settings.heartbeat_file)
    if settings.release.target == "lambda":
        from deposit.release.targets.lambda_function import LambdaFunction
        from deposit.release.targets.lambda_target import AliasTraffic, LambdaTarget

        function = LambdaFunction(settings.release, settings.store.region)
        return LambdaTarget(settings.release, function), AliasTraffic(settings.release, function)
    from deposit.release.targets.process import ProcessTarget

    return ProcessTarget(settings), Gateway(settings)
