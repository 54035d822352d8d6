"""Target `lambda`: a release is a published version of the function, tested before the alias that clients ask names it.

The function's environment, role and network are Terraform's; a release changes its image, its versions and its aliases.
Each release's version has an alias of its own, `release-<id>`: two releases of one Bento may share a version.
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
    """Services as versions of one function, `<function>:<version>`."""

    def __init__(self, release: ReleaseSettings, function: LambdaFunction) -> None:
        super().__init__(release)
        self._function = function

    def start(self, release: Release) -> tuple[str, ...]:
        """Publish a version, or leave the one that is there with what it is to be started with by now."""
        alias, wanted = f"{_PREFIX}{release.id}", self.configuration(release)
        there = self._function.aliases().get(alias)
        if there is None or there.description != wanted:
            image = self.image(release)
            version = self._function.publish(image, f"release {release.id} of {release.model_id}")
            self._function.point(alias, version, wanted)
            return (self._address(version),)
        return (self._address(there.version),)

    def client(self, address: str) -> httpx.Client:
        """Of a version by Lambda's API, or of the function's own URL."""
        name, _, version = address.rpartition(":")
        if name == self._function.name:
            return invoking(self._function, version)
        return httpx.Client(base_url=address, trust_env=False, verify=ssl.create_default_context())

    def stop(self, release_id: int) -> None:
        """Remove the release's alias and its version, unless another alias has it: never what clients ask."""
        self._function.forget(f"{_PREFIX}{release_id}")

    def problem(self, release_id: int) -> str | None:
        """Why its version will never answer; one that only starts slowly has none."""
        alias = self._function.aliases().get(f"{_PREFIX}{release_id}")
        if alias is None:
            return f"the function {self._function.name} has no alias {_PREFIX}{release_id}"
        return self._function.problem(alias.version)

    def configuration(self, release: Release) -> str:
        """Of the function's configuration, which Terraform writes, and the Bento."""
        content = json.dumps(self._function.configuration(), sort_keys=True, default=str)
        return configuration_digest(release, {"function": content}, {})

    def started_with(self, release_id: int) -> str | None:
        """From the description of its alias."""
        alias = self._function.aliases().get(f"{_PREFIX}{release_id}")
        return None if alias is None else alias.description or None

    def running(self) -> dict[int, tuple[str, ...]]:
        """From the aliases of releases."""
        return {
            int(name.removeprefix(_PREFIX)): (self._address(alias.version),)
            for name, alias in self._function.aliases().items()
            if name.startswith(_PREFIX)
        }

    def prune(self, keep: set[str]) -> None:
        """Nothing: images expire by the rules of their repository."""

    def abandon(self) -> None:
        """Nothing: the function does not end with the releaser."""

    def _address(self, version: str) -> str:
        return f"{self._function.name}:{version}"


class AliasTraffic:
    """The alias that the HTTP API asks: to switch is to let it name another version, for the next request on."""

    def __init__(self, release: ReleaseSettings, function: LambdaFunction) -> None:
        self._alias = release.lambda_alias
        self._url = release.lambda_url
        self._function = function

    def repair(self) -> bool:
        """Nothing: the HTTP API is Terraform's."""
        return False

    def upstream(self) -> tuple[str, ...]:
        """The version that the alias names, if a release has published it."""
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
        """Point the alias to the version; then test it where clients ask, if that is set, and go back if it fails."""
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
        """Point the alias to the version that Terraform made, which has no model and answers nothing."""
        aliases = self._function.aliases()
        released = {alias.version for name, alias in aliases.items() if name.startswith(_PREFIX)}
        unreleased = [version for version in self._function.versions() if version not in released]
        if not unreleased:
            raise ReleaseError(
                f"{self._function.name} has versions of releases alone, so that its alias {self._alias} must name one: "
                "set the function's reserved concurrency to 0 if it shall answer nobody"
            )
        self._function.point(self._alias, unreleased[0])

    def answers(self) -> bool:
        """Always: nothing on AWS ends with the releaser."""
        return True


_HOST = "releaser.invalid"


def invoking(function: LambdaFunction, version: str) -> httpx.Client:
    """Asks a version as an HTTP API would."""
    return httpx.Client(transport=_Invocation(function, version), base_url=f"https://{_HOST}")


class _Invocation(httpx.BaseTransport):
    """Events of format 2.0 out of requests, and responses out of what the function gives."""

    def __init__(self, function: LambdaFunction, version: str) -> None:
        self._function = function
        self._version = version

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The version's answer. Raises ReleaseError, UpstreamError."""
        answer = self._function.invoke(self._version, _event(request))
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        return httpx.Response(answer["statusCode"], headers=answer.get("headers") or {}, content=content)


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
