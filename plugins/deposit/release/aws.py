"""Clients of AWS's API for releases, and the translation of its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deposit.aws_errors import Refusal, code_of, refusal_of
from deposit.errors import DepositError, ReleaseError, UpstreamError

_TRANSIENT = {
    "RequestLimitExceeded", "ServerException", "Throttling", "ThrottlingException", "TooManyRequestsException",
}  # fmt: skip
_SERVER_ERROR = 500
_MAX_CHARACTERS = 300
"""Maximum number of characters of AWS's message to include in ours."""


def aws_client(service: str, region: str) -> Any:
    """Return a client with the default credentials, preferably a role. `AWS_ENDPOINT_URL` selects another endpoint."""
    config = Config(retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, region_name=region, config=config)


@contextmanager
def answered(action: str) -> Iterator[None]:
    """Translate errors inside the block: ReleaseError if AWS rejects the request, UpstreamError if it is unavailable.

    `action` is the action for the message, like "push the image".
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _translated(action, error) from error


def _translated(action: str, error: ClientError | BotoCoreError) -> DepositError:
    message = " ".join(_message(error).split())[:_MAX_CHARACTERS].rstrip(".")
    match refusal_of(error):
        case Refusal.DENIED:
            return ReleaseError(f"AWS denies this role permission to {action}: {message}; grant it that permission")
        case Refusal.CREDENTIALS:
            return ReleaseError(
                f"AWS does not accept the credentials to {action}: {message}; correct them, or use a role"
            )
        case Refusal.SILENCE:
            return UpstreamError(f"AWS does not answer the request to {action}: {message}")
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code_of(error) in _TRANSIENT or status >= _SERVER_ERROR:
            return UpstreamError(f"AWS failed to {action} ({code_of(error)}): {message}")
    return ReleaseError(f"AWS refused to {action}: {message}")


def _message(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message") or code_of(error))
    return str(error)
