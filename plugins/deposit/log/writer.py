"""Connections of the PostgreSQL role `writer`, which stores the prediction log."""

from typing import Any

import psycopg

from deposit.conninfo import connection_parameters
from deposit.errors import ConfigError
from deposit.log.batch import Connection
from deposit.log.direct import Connect
from deposit.sections import DatabaseSettings

_CONNECT_SECONDS = 4
_DEAD_MILLISECONDS = 3000
"""TCP user timeout: data unacknowledged for this long means that the peer dropped the connection during a freeze."""


def connector(settings: DatabaseSettings, timeout: float) -> Connect:
    """Return a function that opens connections as `writer`, with a statement timeout of `timeout` seconds.

    Raises ConfigError if the database URL is missing or malformed.
    """
    milliseconds = int(timeout * 1000)
    limits = {
        "autocommit": True,
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": _DEAD_MILLISECONDS,
        "application_name": "deposit service",
        "options": f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}",
        # a prepared statement belongs to one session, and a proxy may switch sessions
        "prepare_threshold": None,
    }

    def connect() -> Connection:
        # computed for each connection: an IAM token is valid for minutes only
        return psycopg.connect(**{**writer_parameters(settings), **limits})

    writer_parameters(settings)
    return connect


def writer_parameters(settings: DatabaseSettings) -> dict[str, Any]:
    """Arguments of `psycopg.connect` for the role `writer`. Raises ConfigError if its URL is missing or malformed."""
    if settings.writer_url is None:
        raise ConfigError("DEPOSIT_DATABASE__WRITER_URL is not set: the stack sets it for the shipper that it starts")
    return connection_parameters(settings.writer_url.get_secret_value(), "DEPOSIT_DATABASE__WRITER_URL", settings)
