"""One function of AWS Lambda: its code, its published versions, the aliases that name them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, WaiterError

from deposit.aws_errors import code_of
from deposit.errors import ConfigError, ReleaseError
from deposit.release.aws import answered, aws_client
from deposit.sections import ReleaseSettings

_ABSENT = "ResourceNotFoundException"
_LATEST = "$LATEST"
_CONFIGURED = (
    "Environment", "MemorySize", "Timeout", "Role", "VpcConfig", "EphemeralStorage", "ImageConfigResponse",
    "Architectures", "KMSKeyArn", "LoggingConfig", "TracingConfig",
)  # fmt: skip
"""What a version is published with, besides its image."""
_EVERY_SECONDS = 2


class Alias(NamedTuple):
    """A name of a published version."""

    version: str
    description: str


class LambdaFunction:
    """The function that the settings name. Raises ReleaseError for what AWS refuses, UpstreamError if it is down."""

    def __init__(self, rules: ReleaseSettings, region: str) -> None:
        self.name = rules.lambda_function
        if not self.name:
            raise ConfigError(
                "DEPOSIT_RELEASE__LAMBDA_FUNCTION is not set: the target `lambda` needs a function's name"
            )
        self._tries = max(1, int(rules.start_timeout / _EVERY_SECONDS))
        self._client = aws_client("lambda", region)

    def configuration(self) -> dict[str, Any]:
        """All that a version published now would be started with, but for its image."""
        with answered(f"describe {self.name}"):
            described = self._describe(_LATEST)
        return {name: described[name] for name in _CONFIGURED if described.get(name)}

    def publish(self, image: str, description: str) -> str:
        """A version that runs an image, `host/repository@sha256:…`; the newest one, if it does so already.

        Raises ReleaseError with AWS's own reason if the image cannot be used.
        """
        with self._errors("take the image for the function"):
            self._wait("function_updated_v2")  # Terraform may be at work
            updated = self._client.update_function_code(FunctionName=self.name, ImageUri=image, Publish=False)
            self._wait("function_updated_v2")
            published = self._client.publish_version(
                FunctionName=self.name, CodeSha256=updated["CodeSha256"], Description=description
            )
            self._wait("published_version_active", Qualifier=published["Version"])
        return str(published["Version"])

    def problem(self, version: str) -> str | None:
        """Why a version will never answer; None while it may."""
        with answered(f"describe {self.name}"):
            try:
                described = self._describe(version)
            except ClientError as error:
                if code_of(error) != _ABSENT:
                    raise
                return f"the function {self.name} has no version {version}"
        if described.get("State") != "Failed":
            return None
        return f"version {version} of {self.name}: {described.get('StateReason') or 'it says nothing'}"

    def aliases(self) -> dict[str, Alias]:
        """By name."""
        with answered("list the function's aliases"):
            pages = self._client.get_paginator("list_aliases").paginate(FunctionName=self.name)
            aliases = [alias for page in pages for alias in page["Aliases"]]
        return {each["Name"]: Alias(each["FunctionVersion"], each.get("Description", "")) for each in aliases}

    def versions(self) -> list[str]:
        """Those that are published, oldest first."""
        with answered("list the function's versions"):
            pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
            versions = [each["Version"] for page in pages for each in page["Versions"]]
        return sorted((version for version in versions if version != _LATEST), key=int)

    def point(self, alias: str, version: str, description: str | None = None) -> None:
        """Let an alias name a version, and make it if it is not there."""
        names = {"FunctionName": self.name, "Name": alias, "FunctionVersion": version}
        described = {} if description is None else {"Description": description}
        with answered(f"point the alias {alias} of {self.name} to version {version}"):
            try:
                self._client.update_alias(**names, **described)
            except ClientError as error:
                if code_of(error) != _ABSENT:
                    raise
                self._client.create_alias(**names, **described)

    def forget(self, alias: str) -> None:
        """Remove an alias, and its version unless another alias names it; none there is fine."""
        aliases = self.aliases()
        gone = aliases.pop(alias, None)
        if gone is None:
            return
        with answered(f"remove the alias {alias} of {self.name}"):
            self._client.delete_alias(FunctionName=self.name, Name=alias)
            if all(each.version != gone.version for each in aliases.values()):
                self._client.delete_function(FunctionName=self.name, Qualifier=gone.version)

    def invoke(self, version: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """A version's answer to an event. Raises ReleaseError with its own words if it fails."""
        with answered(f"invoke version {version} of {self.name}"):
            answer = self._client.invoke(FunctionName=self.name, Qualifier=version, Payload=json.dumps(event).encode())
            payload = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer or not isinstance(payload, dict) or "statusCode" not in payload:
            words = payload.get("errorMessage") if isinstance(payload, dict) else None
            raise ReleaseError(
                f"version {version} of {self.name} fails ({words or answer.get('FunctionError') or 'no answer'}): "
                "see its log"
            )
        return dict(payload)

    def _describe(self, version: str) -> dict[str, Any]:
        return dict(self._client.get_function_configuration(FunctionName=self.name, Qualifier=version))

    def _wait(self, name: str, **more: str) -> None:
        configuration = {"Delay": _EVERY_SECONDS, "MaxAttempts": self._tries}
        self._client.get_waiter(name).wait(FunctionName=self.name, WaiterConfig=configuration, **more)

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """As `answered`, and the reason why what was waited for has failed."""
        try:
            with answered(action):
                yield
        except Exception as error:
            cause = error.__cause__
            if not isinstance(cause, WaiterError):
                raise
            last = cause.last_response.get("Configuration", cause.last_response)
            reason = last.get("LastUpdateStatusReason") or last.get("StateReason") or cause
            raise ReleaseError(f"AWS did not {action} {self.name}: {reason}") from cause
