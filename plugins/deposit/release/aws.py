"""AWS's API for releases: its clients, and what it refuses as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deposit.aws_errors import Refusal, code_of, refusal_of
from deposit.errors import DepositError, ReleaseError, UpstreamError

_PASSING = {"RequestLimitExceeded", "ServerException", "Throttling", "ThrottlingException", "TooManyRequestsException"}
_SERVER_ERROR = 500
_LONGEST = 300
"""Characters of AWS's own words that a message takes over."""


def aws_client(service: str, region: str) -> Any:
    """A client by the machine's own credentials, a role wherever there is one; `AWS_ENDPOINT_URL` names another API."""
    config = Config(retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, region_name=region, config=config)


@contextmanager
def answered(action: str) -> Iterator[None]:
    """Turn what AWS refuses inside the block into ReleaseError, and what it does not answer into UpstreamError.

    `action` is what it was asked for, as "push the image".
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _explained(action, error) from error


def _explained(action: str, error: ClientError | BotoCoreError) -> DepositError:
    words = " ".join(_words(error).split())[:_LONGEST].rstrip(".")
    match refusal_of(error):
        case Refusal.DENIED:
            return ReleaseError(f"AWS denies this role to {action}: {words}; give the role that right")
        case Refusal.CREDENTIALS:
            return ReleaseError(f"AWS does not take the credentials to {action}: {words}; correct them or give a role")
        case Refusal.SILENCE:
            return UpstreamError(f"AWS does not answer, asked to {action}: {words}")
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code_of(error) in _PASSING or status >= _SERVER_ERROR:
            return UpstreamError(f"AWS failed to {action} ({code_of(error)}): {words}")
    return ReleaseError(f"AWS refused to {action}: {words}")


def _words(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Message") or code_of(error))
    return str(error)
