"""The connection of the role `writer`, by which the log is stored."""

from typing import Any

import psycopg

from deposit.conninfo import connection_parameters
from deposit.errors import ConfigError
from deposit.log.batch import Connection
from deposit.log.direct import Connect
from deposit.sections import DatabaseSettings

_CONNECT_SECONDS = 4
_DEAD_MILLISECONDS = 3000
"""What was sent and not acknowledged by then went to a host that is gone: its connection was closed in a freeze."""


def connector(settings: DatabaseSettings, timeout: float) -> Connect:
    """Opens connections as the role `writer`; a statement takes `timeout` seconds at most.

    Raises ConfigError if its address is missing or malformed.
    """
    milliseconds = int(timeout * 1000)
    limits = {
        "autocommit": True,
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": _DEAD_MILLISECONDS,
        "application_name": "deposit service",
        "options": f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}",
        # a statement is prepared for one session, which a proxy may not keep
        "prepare_threshold": None,
    }

    def connect() -> Connection:
        # a token among them is good for minutes
        return psycopg.connect(**{**writer_parameters(settings), **limits})

    writer_parameters(settings)
    return connect


def writer_parameters(settings: DatabaseSettings) -> dict[str, Any]:
    """What `psycopg.connect` takes for the role `writer`. Raises ConfigError if its address is missing or malformed."""
    if settings.writer_url is None:
        raise ConfigError("DEPOSIT_DATABASE__WRITER_URL is not set: the stack starts a shipper that has it")
    return connection_parameters(settings.writer_url.get_secret_value(), "DEPOSIT_DATABASE__WRITER_URL", settings)
