"""AWS's refusals as errors of ours: who must act, and in one sentence."""

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from deposit.errors import DepositError, ReleaseError, UpstreamError
from deposit.release.aws import answered


def _refused(code: str, message: str = "", status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UpdateService")


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            _refused("AccessDeniedException", "User: x is not authorized to perform: ecs:UpdateService"),
            ReleaseError,
            "AWS denies this role permission to update it: User: x is not authorized to perform: ecs:UpdateService; "
            "grant it that permission",
        ),
        (
            _refused("UnrecognizedClientException", "The security token included in the request is invalid."),
            ReleaseError,
            "AWS does not accept the credentials to update it: The security token included in the request is invalid; "
            "correct them, or use a role",
        ),
        (
            NoCredentialsError(),
            ReleaseError,
            "AWS does not accept the credentials to update it: Unable to locate credentials; "
            "correct them, or use a role",
        ),
        (
            _refused("ThrottlingException", "Rate exceeded"),
            UpstreamError,
            "AWS failed to update it (ThrottlingException)",
        ),
        (_refused("ServerException", "", 500), UpstreamError, "AWS failed to update it (ServerException)"),
        (
            _refused("InvalidParameterException", "no\n such  thing"),
            ReleaseError,
            "AWS refused to update it: no such thing",
        ),
        (
            EndpointConnectionError(endpoint_url="https://ecs"),
            UpstreamError,
            "AWS does not answer the request to update it",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_aws_refuses_has_a_sentence(
    error: ClientError | BotoCoreError, kind: type[DepositError], sentence: str
) -> None:
    with pytest.raises(DepositError) as raised, answered("update it"):
        raise error
    assert type(raised.value) is kind
    assert str(raised.value).startswith(sentence)
    assert raised.value.__cause__ is error


def test_a_long_message_is_cut() -> None:
    with pytest.raises(ReleaseError) as raised, answered("update it"):
        raise _refused("InvalidParameterException", "x" * 5000)
    assert len(str(raised.value)) < 400
