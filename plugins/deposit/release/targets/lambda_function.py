"""Client of one AWS Lambda function: its code, published versions and aliases."""

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
"""Fields of the configuration that is published with a version, besides its image."""
_POLL_SECONDS = 2


class Alias(NamedTuple):
    """The published version that an alias points to, and the description of the alias."""

    version: str
    description: str


class LambdaFunction:
    """The function of the settings. Raises ReleaseError if AWS rejects a request, UpstreamError if it is down."""

    def __init__(self, rules: ReleaseSettings, region: str) -> None:
        self.name = rules.lambda_function
        if not self.name:
            raise ConfigError(
                "DEPOSIT_RELEASE__LAMBDA_FUNCTION is not set: the target `lambda` needs a function's name"
            )
        self._attempts = max(1, int(rules.start_timeout / _POLL_SECONDS))
        self._client = aws_client("lambda", region)

    def configuration(self) -> dict[str, Any]:
        """Return the configuration, without the image, that a version published now would have."""
        with answered(f"describe {self.name}"):
            described = self._describe(_LATEST)
        return {name: described[name] for name in _CONFIGURED if described.get(name)}

    def publish(self, image: str, description: str) -> str:
        """Publish a version of an image, `host/repository@sha256:…`, and return its number.

        If nothing has changed, that is the newest version. Raises ReleaseError with a reason if AWS rejects the image.
        """
        with self._errors("deploy the image to the function"):
            self._wait("function_updated_v2")  # Terraform may be at work
            updated = self._client.update_function_code(FunctionName=self.name, ImageUri=image, Publish=False)
            self._wait("function_updated_v2")
            published = self._client.publish_version(
                FunctionName=self.name, CodeSha256=updated["CodeSha256"], Description=description
            )
            self._wait("published_version_active", Qualifier=published["Version"])
        return str(published["Version"])

    def problem(self, version: str) -> str | None:
        """Return why a version will never answer; None while it still may."""
        with answered(f"describe {self.name}"):
            try:
                described = self._describe(version)
            except ClientError as error:
                if code_of(error) != _ABSENT:
                    raise
                return f"the function {self.name} has no version {version}"
        if described.get("State") != "Failed":
            return None
        return f"version {version} of {self.name}: {described.get('StateReason') or 'AWS gives no reason'}"

    def aliases(self) -> dict[str, Alias]:
        """Return the aliases by name."""
        with answered("list the function's aliases"):
            pages = self._client.get_paginator("list_aliases").paginate(FunctionName=self.name)
            aliases = [alias for page in pages for alias in page["Aliases"]]
        return {each["Name"]: Alias(each["FunctionVersion"], each.get("Description", "")) for each in aliases}

    def versions(self) -> list[str]:
        """Return the numbers of published versions, oldest first."""
        with answered("list the function's versions"):
            pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
            versions = [each["Version"] for page in pages for each in page["Versions"]]
        return sorted((version for version in versions if version != _LATEST), key=int)

    def point(self, alias: str, version: str, description: str | None = None) -> None:
        """Point an alias to a version; the alias is created if it does not exist."""
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
        """Remove an alias if it exists, and its version unless another alias points to it."""
        aliases = self.aliases()
        removed = aliases.pop(alias, None)
        if removed is None:
            return
        with answered(f"remove the alias {alias} of {self.name}"):
            self._client.delete_alias(FunctionName=self.name, Name=alias)
            if all(each.version != removed.version for each in aliases.values()):
                self._client.delete_function(FunctionName=self.name, Qualifier=removed.version)

    def invoke(self, version: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke a version with an event and return its result. Raises ReleaseError with its message if it fails."""
        with answered(f"invoke version {version} of {self.name}"):
            result = self._client.invoke(FunctionName=self.name, Qualifier=version, Payload=json.dumps(event).encode())
            payload = json.loads(result["Payload"].read() or b"null")
        if "FunctionError" in result or not isinstance(payload, dict) or "statusCode" not in payload:
            message = payload.get("errorMessage") if isinstance(payload, dict) else None
            raise ReleaseError(
                f"version {version} of {self.name} fails ({message or result.get('FunctionError') or 'no answer'}): "
                "see its log"
            )
        return dict(payload)

    def _describe(self, version: str) -> dict[str, Any]:
        return dict(self._client.get_function_configuration(FunctionName=self.name, Qualifier=version))

    def _wait(self, name: str, **more: str) -> None:
        configuration = {"Delay": _POLL_SECONDS, "MaxAttempts": self._attempts}
        self._client.get_waiter(name).wait(FunctionName=self.name, WaiterConfig=configuration, **more)

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Translate errors as `answered` does, and those of waiters to a ReleaseError with AWS's reason."""
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
