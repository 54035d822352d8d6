"""Values in AWS Secrets Manager: `<secret id or ARN>`, or `…#<key>` for one value of a secret that is a JSON object.

Needs no model library, so that Airflow's environment can import it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from uuid import uuid4

from deposit.errors import ConfigError, UpstreamError

_ARN_REGION = 3
_FIRST = "00000000-0000-4000-8000-000000000001"
"""Id of every secret's first version: of two concurrent first writes, AWS rejects one."""
_CURRENT, _NEXT = "AWSCURRENT", "NEXT"
_ATTEMPTS = 20


@cache  # once per process, however often the settings are read
def read_secret(variable: str, reference: str) -> str:
    """Read the value that a variable refers to. Raises ConfigError or UpstreamError, which never quote the secret."""
    name, _, key = reference.partition("#")
    text = fetch(variable, name)
    value = _member(variable, name, key, text) if key else text
    if not value.strip():
        raise ConfigError(f"{variable}: the secret {reference} is empty: write the value into it")
    return value.strip()


def fetch(variable: str, name: str) -> str:
    """Fetch the current text of a secret; `variable` is the setting that names it. Raises as `read_secret` does."""
    with _client(variable, name, "read", "GetSecretValue") as client:
        return _text(variable, name, client.get_secret_value(SecretId=name, VersionStage=_CURRENT))


def replace(variable: str, name: str, changed: Callable[[str | None], str]) -> None:
    """Replace a secret's text by `changed(text)`; the argument is None if the secret has no version yet.

    A new version becomes current only if the version that was read still is. Otherwise the newer one is read and
    changed, so that no concurrent change is lost. Raises as `read_secret` does, and whatever `changed` raises.
    """
    with _client(variable, name, "written", "PutSecretValue, GetSecretValue and UpdateSecretVersionStage") as client:
        for _ in range(_ATTEMPTS):
            text, version = _current(variable, name, client)
            if _put(name, client, changed(text), version):
                return
    raise UpstreamError(f"{variable}: other writers keep changing the secret {name}: try again")


def _current(variable: str, name: str, client: Any) -> tuple[str | None, str | None]:
    """The text and version id of a secret; both None if it has no version yet."""
    try:
        answer = client.get_secret_value(SecretId=name, VersionStage=_CURRENT)
    except client.exceptions.ResourceNotFoundException:
        # or the secret does not exist: then writing it will fail
        return None, None
    return _text(variable, name, answer), answer["VersionId"]


def _put(name: str, client: Any, text: str, version: str | None) -> bool:
    """Make a text the current version instead of `version` (None: the first); False if another writer was faster."""
    try:
        if version is None:
            client.put_secret_value(SecretId=name, SecretString=text, ClientRequestToken=_FIRST)
            return True
        fresh = str(uuid4())
        client.put_secret_value(SecretId=name, SecretString=text, ClientRequestToken=fresh, VersionStages=[_NEXT])
        client.update_secret_version_stage(
            SecretId=name, VersionStage=_CURRENT, MoveToVersionId=fresh, RemoveFromVersionId=version
        )
    except (client.exceptions.ResourceExistsException, client.exceptions.InvalidParameterException):
        return False
    return True


@contextmanager
def _client(variable: str, name: str, verb: str, actions: str) -> Iterator[Any]:
    """A client for the region of a secret; converts the AWS errors inside the block to errors that say what to do."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

    from deposit.aws_errors import Refusal, code_of, refusal_of

    region = name.split(":")[_ARN_REGION] if name.startswith("arn:") and name.count(":") > _ARN_REGION else None
    patience = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
    try:
        yield boto3.client("secretsmanager", region_name=region, config=patience)
    except NoRegionError as error:
        raise ConfigError(
            f"{variable}: {name} is in no region: set AWS_DEFAULT_REGION, or give the secret's ARN"
        ) from error
    except (ClientError, BotoCoreError) as error:
        reason = code_of(error) if isinstance(error, ClientError) else type(error).__name__
        sentence = f"{variable}: the secret {name} cannot be {verb} ({reason})"
        match refusal_of(error):
            case Refusal.ABSENT:
                raise ConfigError(f"{sentence}: there is none of that name in this account and region") from error
            case Refusal.DENIED:
                raise ConfigError(f"{sentence}: give these credentials secretsmanager:{actions} on it") from error
            case Refusal.CREDENTIALS:
                raise ConfigError(f"{sentence}: renew the credentials of the role or of AWS_PROFILE") from error
            case Refusal.SILENCE:
                raise UpstreamError(f"{sentence}: see that this machine reaches AWS") from error
            case _:
                raise ConfigError(f"{sentence}: {error}") from error


def _text(variable: str, name: str, answer: dict[str, Any]) -> str:
    if "SecretString" not in answer:
        raise ConfigError(f"{variable}: the secret {name} holds bytes, not text: store it as text")
    return str(answer["SecretString"])


def _member(variable: str, name: str, key: str, text: str) -> str:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{variable}: the secret {name} is no JSON object: remove `#{key}`") from error
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, str | int | float):
        raise ConfigError(f"{variable}: the secret {name} has no value {key!r}: correct what is after the `#`")
    return str(value)
