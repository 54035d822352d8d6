"""Connection parameters for PostgreSQL: the URL, TLS verification, and IAM tokens instead of passwords.

Needs no SQLAlchemy, so that the shipper and the services need not import it.
"""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from deposit.errors import ConfigError, UpstreamError
from deposit.sections import DatabaseSettings

_PORT = 5432
_WITHOUT_DRIVER = "postgresql://"
_LIKE = f"like {_WITHOUT_DRIVER}user:password@host:5432/name"


def connection_parameters(url: str, setting: str, database: DatabaseSettings) -> dict[str, Any]:
    """Parameters of `psycopg.connect` for a URL; an IAM token among them is valid for 15 minutes.

    `setting` is the setting that holds the URL. Raises ConfigError if it is not a PostgreSQL URL, or as `secured` does.
    """
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigError(f"{setting} must name a PostgreSQL database ({_LIKE})")
    try:
        parameters = conninfo_to_dict(_WITHOUT_DRIVER + rest)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"{setting} is not the URL of a database ({_LIKE})") from error
    return parameters | secured(parameters, database)


def secured(parameters: dict[str, Any], database: DatabaseSettings) -> dict[str, Any]:
    """Parameters that the settings add for one connection: server verification and a fresh IAM token.

    Raises ConfigError if this machine has no AWS credentials or no region is set, UpstreamError if AWS does not provide
    the credentials.
    """
    added: dict[str, Any] = verified(database)
    if database.iam:
        added["password"] = _token(str(parameters["host"]), int(parameters.get("port") or _PORT), parameters["user"])
    return added


def verified(database: DatabaseSettings) -> dict[str, Any]:
    """Options with which libpq verifies the server's certificate; none if no CA file is set."""
    return {"sslmode": "verify-full", "sslrootcert": str(database.ca_file)} if database.ca_file else {}


def _token(host: str, port: int, user: str) -> str:
    """An IAM token for RDS, which replaces the password: a request that is signed locally and never sent."""
    import boto3
    from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

    try:
        token: str = boto3.client("rds").generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except NoRegionError as error:
        raise ConfigError(
            "DEPOSIT_DATABASE__IAM needs AWS_DEFAULT_REGION, the region of the database: set it"
        ) from error
    except NoCredentialsError as error:
        raise ConfigError(
            "DEPOSIT_DATABASE__IAM needs AWS credentials, there are none: give the task a role, or set AWS_PROFILE"
        ) from error
    except BotoCoreError as error:
        raise UpstreamError(f"AWS gives no credentials for DEPOSIT_DATABASE__IAM ({error}): renew them") from error
    return token
