"""Interfaces between the reconciler and the platforms: where services run, and what routes traffic to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

from deposit.release.gateway import Gateway
from deposit.release.repository import Release
from deposit.settings import Settings


class Target(Protocol):
    """Installs, starts and stops services. Methods are idempotent, and raise UpstreamError if the platform is down."""

    def install(self, release: Release, archive: Path) -> None:
        """Install a verified Bento archive, atomically."""

    def installed(self, release: Release) -> bool:
        """Whether the Bento of a release is installed."""

    def parity(self, release: Release) -> dict[str, Any]:
        """Return `parity.json` of an installed release: rows and the probabilities that training computed for them."""

    def start(self, release: Release) -> tuple[str, ...]:
        """Start the replicas that do not run, and return the address of each, in a format of the target's own."""

    def client(self, address: str) -> httpx.Client:
        """Return an HTTP client to test the service at an address."""

    def stop(self, release_id: int) -> None:
        """Stop and remove the replicas of a release, if there are any."""

    def problem(self, release_id: int) -> str | None:
        """Return why a started replica will not become ready without intervention; None while all still may."""

    def configuration(self, release: Release) -> str:
        """Return a digest of what a service of this release would be started with now: settings, secrets, Bento."""

    def started_with(self, release_id: int) -> str | None:
        """Return that digest as of the start of the running service; None if it is not known."""

    def running(self) -> dict[int, tuple[str, ...]]:
        """Return the addresses of the replicas that should run, by release."""

    def abandon(self) -> None:
        """Stop services that would outlive the stack, because the whole stack is stopping; `start` restores them."""

    def prune(self, keep: set[str]) -> None:
        """Remove installed Bentos, except those with these sha256."""


class Traffic(Protocol):
    """Routes traffic to a service of a target. Methods are idempotent, and raise UpstreamError if it is down."""

    def repair(self) -> bool:
        """Correct the configuration of the running router; returns whether that was needed."""

    def upstream(self) -> tuple[str, ...]:
        """Return the addresses of the replicas that share the traffic, in the format of `Target.running`."""

    def switch(self, release: Release, addresses: tuple[str, ...], test: Callable[[str], None]) -> tuple[str, ...]:
        """Send all requests to tested replicas, and return the addresses at which they run from then on.

        If clients reach them by another address than the tested one, `test` is called with it. Raises ReleaseError if
        the switch or that test fails; traffic then goes to the previous release again.
        """

    def withdraw(self) -> None:
        """Stop sending requests to any service."""

    def answers(self) -> bool:
        """Whether the router runs. If it does not, the whole stack is stopping."""


def target_for(settings: Settings) -> tuple[Target, Traffic]:
    """Return the target of the settings, and the router of its traffic."""
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
