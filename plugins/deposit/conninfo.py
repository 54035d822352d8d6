"""How PostgreSQL is connected to: what an URL says, TLS against a given authority, IAM tokens in a password's place.

Needs no SQLAlchemy: the shipper and services do without.
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
    """What `psycopg.connect` takes for an URL; an IAM token among it is good for 15 minutes.

    `setting` names where the URL is from. Raises ConfigError if it is none of PostgreSQL, or as `secured` does.
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
    """What the settings add to the parameters of one connection: a verified server, a fresh token.

    Raises ConfigError if AWS gives this machine no credentials, or no region is set.
    """
    added: dict[str, Any] = verified(database)
    if database.iam:
        added["password"] = _token(str(parameters["host"]), int(parameters.get("port") or _PORT), parameters["user"])
    return added


def verified(database: DatabaseSettings) -> dict[str, Any]:
    """The options by which libpq verifies the server, where its authorities are given."""
    return {"sslmode": "verify-full", "sslrootcert": str(database.ca_file)} if database.ca_file else {}


def _token(host: str, port: int, user: str) -> str:
    """A password for RDS: a request that this machine's credentials have signed; made without asking anybody."""
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
            "DEPOSIT_DATABASE__IAM needs credentials of AWS, there are none: give the task a role, or set AWS_PROFILE"
        ) from error
    except BotoCoreError as error:
        raise UpstreamError(f"AWS gives no credentials for DEPOSIT_DATABASE__IAM ({error}): renew them") from error
    return token
