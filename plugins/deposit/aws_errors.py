"""Classify the errors of AWS, and of servers that speak its protocols, by error code."""

from enum import StrEnum
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from deposit.errors import ConfigError, DepositError, SourceError, UpstreamError, remedy
from deposit.sections import StoreSettings


class Refusal(StrEnum):
    """Why a request failed."""

    ABSENT = "absent"
    NO_BUCKET = "no bucket"
    EXISTS = "exists"
    TAKEN = "taken"
    CREDENTIALS = "credentials"
    DENIED = "denied"
    REGION = "region"
    KEY = "key"
    CLOCK = "clock"
    FULL = "full"
    SILENCE = "silence"
    OTHER = "other"


_CODES = {
    Refusal.ABSENT: {"404", "NotFound", "NoSuchKey", "ResourceNotFoundException"},
    Refusal.NO_BUCKET: {"NoSuchBucket"},
    Refusal.EXISTS: {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"},
    Refusal.TAKEN: {"BucketAlreadyExists"},
    Refusal.CREDENTIALS: {
        "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
        "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken", "ExpiredToken", "ExpiredTokenException",
        "TokenRefreshRequired", "AuthFailure",
    },
    Refusal.DENIED: {"403", "Forbidden", "AccessDenied", "AccessDeniedException", "AllAccessDisabled"},
    Refusal.REGION: {
        "301", "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException", "InvalidLocationConstraint",
    },
    Refusal.CLOCK: {"RequestTimeTooSkewed", "RequestExpired"},
    Refusal.FULL: {"XMinioStorageFull", "InsufficientStorage", "507"},
}  # fmt: skip
_BY_CODE = {code: refusal for refusal, codes in _CODES.items() for code in codes}
_WRITES = {
    "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "CreateBucket",
}  # fmt: skip
_WITHOUT_CREDENTIALS = (
    NoCredentialsError, PartialCredentialsError, ProfileNotFound, CredentialRetrievalError, SSOError,
    TokenRetrievalError,
)  # fmt: skip


def code_of(error: ClientError) -> str:
    """The error code of a response; the HTTP status if the response has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def refusal_of(error: ClientError | BotoCoreError) -> Refusal:
    """Classify an error that a boto3 client raised."""
    if isinstance(error, ClientError):
        code = code_of(error)
        if code.startswith("KMS."):
            return Refusal.KEY
        # SeaweedFS returns nothing more specific if its disk is full
        if code in ("InternalError", "500") and error.operation_name in _WRITES:
            return Refusal.FULL
        return _BY_CODE.get(code, Refusal.OTHER)
    if isinstance(error, _WITHOUT_CREDENTIALS):
        return Refusal.CREDENTIALS
    return Refusal.SILENCE if isinstance(error, NoConnection | HTTPClientError) else Refusal.OTHER


_KEYS = "DEPOSIT_STORE__ACCESS_KEY and DEPOSIT_STORE__SECRET_KEY"
_MESSAGES: dict[Refusal, tuple[type[DepositError], str]] = {
    Refusal.ABSENT: (SourceError, "there is no such object"),
    Refusal.NO_BUCKET: (ConfigError, "the bucket {bucket} does not exist: make it, or correct {setting}"),
    Refusal.TAKEN: (ConfigError, "the bucket {bucket} belongs to another account: choose another name in {setting}"),
    Refusal.REGION: (ConfigError, "{bucket} is not in that region ({reason}): correct DEPOSIT_STORE__REGION"),
    Refusal.CREDENTIALS: (UpstreamError, "these credentials are unknown, or have expired ({reason}): {renew}"),
    Refusal.DENIED: (
        UpstreamError,
        "access to {bucket} is denied: grant it to these credentials, or, if the bucket belongs to another account, "
        "correct {setting}",
    ),
    Refusal.KEY: (UpstreamError, "the KMS key cannot be used ({reason}): correct DEPOSIT_STORE__KMS_KEY"),
    Refusal.CLOCK: (UpstreamError, "this machine's clock is wrong ({reason}): set it"),
    Refusal.FULL: (UpstreamError, "it failed to store the data ({reason}): {full}"),
    Refusal.SILENCE: (UpstreamError, "the object store does not answer ({reason}): {start}"),
    Refusal.OTHER: (UpstreamError, "{words}"),
}
"""Error class and message by kind: what is wrong and what to do.

Denied access and expired credentials are UpstreamErrors: they may be granted or renewed while the caller retries.
"""


def refused_by_store(
    settings: StoreSettings, action: str, bucket: str, setting: str, error: ClientError | BotoCoreError
) -> DepositError:
    """Convert an error of a boto3 client to one of ours; `setting` is the setting that names the bucket."""
    kind, sentence = _MESSAGES[refusal_of(error)]
    if settings.endpoint_url:
        where = settings.endpoint_url
        start = f"{remedy(urlsplit(where).hostname)}, or correct DEPOSIT_STORE__ENDPOINT_URL"
        full = "its disk is probably full, so free some space there; otherwise see its log"
    else:
        where = f"AWS S3 ({settings.region})"
        start = "see that this machine reaches AWS, or correct DEPOSIT_STORE__REGION"
        full = "try again in a moment"
    reason = sentence.format(
        bucket=bucket,
        setting=setting,
        reason=code_of(error) if isinstance(error, ClientError) else type(error).__name__,
        renew=f"correct {_KEYS}" if settings.access_key else f"renew the role's or AWS_PROFILE's, or set {_KEYS}",
        start=start,
        full=full,
        words=error,
    )
    return kind(f"cannot {action} on {where}: {reason}")
