"""Values from AWS Secrets Manager: `<secret id or ARN>`, or `…#<key>` for one value of a secret that is a JSON object.

Needs no model library, so that Airflow's environment can import it.
"""

import json
from functools import cache

from deposit.errors import ConfigError, UpstreamError

_ARN_REGION = 3


@cache  # once a process, however often it reads its settings
def read_secret(variable: str, reference: str) -> str:
    """The text that a variable refers to. Raises ConfigError or UpstreamError, which never quote a secret's content."""
    name, _, key = reference.partition("#")
    text = fetch(variable, name)
    value = _member(variable, name, key, text) if key else text
    if not value.strip():
        raise ConfigError(f"{variable}: the secret {reference} is empty: write the value into it")
    return value.strip()


def fetch(variable: str, name: str) -> str:
    """The text of a secret as it is now; `variable` is the setting that names it. Raises as `read_secret` does."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

    from deposit.aws_errors import Refusal, code_of, refusal_of

    region = name.split(":")[_ARN_REGION] if name.startswith("arn:") and name.count(":") > _ARN_REGION else None
    patience = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"})
    try:
        answer = boto3.client("secretsmanager", region_name=region, config=patience).get_secret_value(SecretId=name)
    except NoRegionError as error:
        raise ConfigError(
            f"{variable}: {name} is in no region: set AWS_DEFAULT_REGION, or give the secret's ARN"
        ) from error
    except (ClientError, BotoCoreError) as error:
        reason = code_of(error) if isinstance(error, ClientError) else type(error).__name__
        sentence = f"{variable}: the secret {name} cannot be read ({reason})"
        match refusal_of(error):
            case Refusal.ABSENT:
                raise ConfigError(f"{sentence}: there is none of that name in this account and region") from error
            case Refusal.DENIED:
                raise ConfigError(f"{sentence}: give these credentials secretsmanager:GetSecretValue on it") from error
            case Refusal.CREDENTIALS:
                raise ConfigError(f"{sentence}: renew the credentials of the role or of AWS_PROFILE") from error
            case Refusal.SILENCE:
                raise UpstreamError(f"{sentence}: see that this machine reaches AWS") from error
            case _:
                raise ConfigError(f"{sentence}: {error}") from error
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
