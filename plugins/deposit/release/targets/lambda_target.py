"""Target `lambda`: a release is a published version of the function, tested before the public alias points to it.

Terraform manages the function's environment, role and network; a release changes its image, versions and aliases.
The version of a release has an alias `release-<id>`, since two releases of the same Bento may share a version.
"""

import base64
import json
import ssl
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from deposit.errors import ReleaseError
from deposit.release.oci.ecr import PushedTarget
from deposit.release.repository import Release
from deposit.release.targets.environment import configuration_digest
from deposit.release.targets.lambda_function import LambdaFunction
from deposit.sections import ReleaseSettings

_PREFIX = "release-"


class LambdaTarget(PushedTarget):
    """Services as versions of one function. The address of a service is `<function>:<version>`."""

    def __init__(self, release: ReleaseSettings, function: LambdaFunction) -> None:
        super().__init__(release)
        self._function = function

    def start(self, release: Release) -> tuple[str, ...]:
        """Publish a version, unless the release has one with the current configuration."""
        alias, wanted = f"{_PREFIX}{release.id}", self.configuration(release)
        current = self._function.aliases().get(alias)
        if current is None or current.description != wanted:
            image = self.image(release)
            version = self._function.publish(image, f"release {release.id} of {release.model_id}")
            self._function.point(alias, version, wanted)
            return (self._address(version),)
        return (self._address(current.version),)

    def client(self, address: str) -> httpx.Client:
        """Return a client for a version, over Lambda's API, or for the public URL of the function."""
        name, _, version = address.rpartition(":")
        if name == self._function.name:
            return invocation_client(self._function, version)
        return httpx.Client(base_url=address, trust_env=False, verify=ssl.create_default_context())

    def stop(self, release_id: int) -> None:
        """Remove the alias of the release, and its version unless another alias, like the public one, points to it."""
        self._function.forget(f"{_PREFIX}{release_id}")

    def problem(self, release_id: int) -> str | None:
        """Return why the version of a release will never answer; None if it may just start slowly."""
        alias = self._function.aliases().get(f"{_PREFIX}{release_id}")
        if alias is None:
            return f"the function {self._function.name} has no alias {_PREFIX}{release_id}"
        return self._function.problem(alias.version)

    def configuration(self, release: Release) -> str:
        """Return the digest of the Bento and of the function's configuration, which Terraform manages."""
        content = json.dumps(self._function.configuration(), sort_keys=True, default=str)
        return configuration_digest(release, {"function": content}, {})

    def started_with(self, release_id: int) -> str | None:
        """Return the digest in the description of the alias."""
        alias = self._function.aliases().get(f"{_PREFIX}{release_id}")
        return None if alias is None else alias.description or None

    def running(self) -> dict[int, tuple[str, ...]]:
        """Return the address of the version of each release, from the aliases."""
        return {
            int(name.removeprefix(_PREFIX)): (self._address(alias.version),)
            for name, alias in self._function.aliases().items()
            if name.startswith(_PREFIX)
        }

    def prune(self, keep: set[str]) -> None:
        """Do nothing: images expire by the lifecycle policy of their repository."""

    def abandon(self) -> None:
        """Do nothing: the function does not end with the releaser."""

    def _address(self, version: str) -> str:
        return f"{self._function.name}:{version}"


class AliasTraffic:
    """The public alias, which the HTTP API invokes. A switch points it to another version, from the next request on."""

    def __init__(self, release: ReleaseSettings, function: LambdaFunction) -> None:
        self._alias = release.lambda_alias
        self._url = release.lambda_url
        self._function = function

    def repair(self) -> bool:
        """Do nothing: Terraform manages the HTTP API."""
        return False

    def upstream(self) -> tuple[str, ...]:
        """Return the version of the public alias, if it is the version of a release."""
        aliases = self._function.aliases()
        live = aliases.pop(self._alias, None)
        released = {alias.version for name, alias in aliases.items() if name.startswith(_PREFIX)}
        return (f"{self._function.name}:{live.version}",) if live and live.version in released else ()

    def switch(
        self,
        release: Release,  # noqa: ARG002
        addresses: tuple[str, ...],
        test: Callable[[str], None],
    ) -> tuple[str, ...]:
        """Point the alias to the version, then test it at the public URL, if one is set, and switch back on failure."""
        before = self._function.aliases().get(self._alias)
        self._function.point(self._alias, addresses[0].rpartition(":")[2])
        if self._url:
            try:
                test(self._url)
            except ReleaseError:
                if before is not None:
                    self._function.point(self._alias, before.version)
                raise
        return addresses

    def withdraw(self) -> None:
        """Point the alias to the version that Terraform created, which has no model and answers nothing."""
        aliases = self._function.aliases()
        released = {alias.version for name, alias in aliases.items() if name.startswith(_PREFIX)}
        unreleased = [version for version in self._function.versions() if version not in released]
        if not unreleased:
            raise ReleaseError(
                f"all versions of {self._function.name} are releases, so its alias {self._alias} cannot be withdrawn: "
                "set the reserved concurrency of the function to 0 to stop it from answering"
            )
        self._function.point(self._alias, unreleased[0])

    def answers(self) -> bool:
        """Always true: services on AWS do not end with the releaser."""
        return True


_HOST = "releaser.invalid"


def invocation_client(function: LambdaFunction, version: str) -> httpx.Client:
    """Return a client that invokes a version like an HTTP API does."""
    return httpx.Client(transport=_InvocationTransport(function, version), base_url=f"https://{_HOST}")


class _InvocationTransport(httpx.BaseTransport):
    """Converts requests to events of payload format 2.0, and results of the function to responses."""

    def __init__(self, function: LambdaFunction, version: str) -> None:
        self._function = function
        self._version = version

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Invoke the version and return its response. Raises ReleaseError, UpstreamError."""
        result = self._function.invoke(self._version, _event(request))
        body = result.get("body") or ""
        content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
        return httpx.Response(result["statusCode"], headers=result.get("headers") or {}, content=content)


def _event(request: httpx.Request) -> dict[str, Any]:
    path = request.url.path
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "headers": dict(request.headers),
        "requestContext": {
            "domainName": _HOST,
            "http": {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": time.time_ns() // 1_000_000,
        },
        "body": base64.b64encode(request.read()).decode(),
        "isBase64Encoded": True,
    }
