"""The `deposit` database: engine, transactions, migrations.

Needs no model library, so that Airflow's environment can import it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from deposit.conninfo import secured
from deposit.errors import ConfigError, LoginError, UpstreamError, remedy
from deposit.sections import DatabaseSettings
from deposit.waiting import retry_while

if TYPE_CHECKING:
    from alembic.config import Config


_SETTINGS = "deposit_settings"
"""Execution option of an engine with the names of the settings that its connections depend on, the URL's first."""
_CA_FILE = "DEPOSIT_DATABASE__CA_FILE"
_LIBPQ_PREFIX = re.compile(r"^(?:connection failed: )?(?:connection to server at .+?, port \d+ failed: )?(?:FATAL: +)?")
"""Prefix of libpq's messages: the server's address, which the URL shows as well."""
_TRANSIENT = re.compile(
    r"the database system is (?:starting up|shutting down|in recovery mode|not (?:yet )?accepting connections)"
    r"|terminating connection (?:due to administrator command|because of crash of another server process)"
)
"""PostgreSQL's messages while it starts, recovers or shuts down (57P03, 57P01, 57P02), matched by text because the
error of a refused connection has no SQLSTATE."""
_STARTUP_SECONDS = 10.0
"""How long to retry a connection to such a server; most crash recoveries take less."""


def connect(settings: DatabaseSettings) -> Engine:
    """Create an engine for the `deposit` database. Raises ConfigError if its URL is missing or malformed."""
    if settings.url is None:
        raise ConfigError(f"DEPOSIT_DATABASE__URL is not set: {remedy(None)}, or set it")
    return engine_for(settings.url.get_secret_value(), "DEPOSIT_DATABASE__URL", settings)


def engine_for(url: str, setting: str, database: DatabaseSettings | None = None) -> Engine:
    """Create an engine for any SQLAlchemy URL; plain `postgresql://` means psycopg 3.

    Raises ConfigError if the URL is malformed or its driver is not installed.

    Args:
        url: URL of the database.
        setting: name of the setting that holds the URL, for messages.
        database: settings for TLS and IAM tokens; None if the URL alone decides.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"{setting} is not a SQLAlchemy URL (like postgresql://user:password@host:5432/name)"
        ) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    postgres = parsed.drivername.startswith("postgresql")
    options = {"connect_args": {"connect_timeout": 5}, "pool_pre_ping": True} if postgres else {}
    try:
        engine = create_engine(parsed, execution_options={_SETTINGS: _settings(setting, database)}, **options)
    except ImportError as error:
        raise ConfigError(f"{setting}: no driver for {parsed.drivername!r} is installed") from error
    if postgres:

        @event.listens_for(engine, "do_connect")
        def _connect(dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
            # for each connection: a token is valid for minutes, an engine lives for days
            full = parameters if database is None else {**parameters, **secured(parameters, database)}
            return retry_while(_is_transient, lambda: dialect.connect(*arguments, **full), _STARTUP_SECONDS)

    return engine


def _is_transient(error: BaseException | None) -> bool:
    """Whether a driver's error says that the server is starting, recovering or shutting down."""
    return bool(_TRANSIENT.search(str(error)))


def _settings(setting: str, database: DatabaseSettings | None) -> tuple[str, ...]:
    """What to correct if a connection fails; what a refused login depends on comes first."""
    names = [setting]
    if database is not None and database.iam:
        names.append("the role's rds-db:connect")
    if database is not None and database.ca_file:
        names.append(_CA_FILE)
    return tuple(names)


@contextmanager
def reachable(engine: Engine) -> Iterator[None]:
    """Convert database errors inside the block to UpstreamError, or to LoginError if the password was refused."""
    try:
        yield
    except OperationalError as error:
        kind = LoginError if _used_password(error) else UpstreamError
        raise kind(_describe_failure(engine, error)) from error
    except DBAPIError as error:
        raise UpstreamError(f"the database refused a statement: {str(error.orig).splitlines()[0]}") from error


def _describe_failure(engine: Engine, error: OperationalError) -> str:
    """Describe why a database cannot be used and what to do; the reason comes first, since a URL may be long."""
    # the query string may contain a password too
    url = engine.url.set(query={})
    reason = _LIBPQ_PREFIX.sub("", str(error.orig).splitlines()[0])
    settings = engine.get_execution_options().get(_SETTINGS, ("its address",))
    if _used_password(error):
        todo = f"correct {' or '.join(name for name in settings if name != _CA_FILE)}"
    elif _is_transient(error.orig):
        todo = "the server is starting or stopping: try again in a moment"
    else:
        todo = f"{remedy(url.host)}, or correct {' or '.join(settings)}"
    return f"cannot use the database: {reason} ({url.render_as_string(hide_password=True)}); {todo}"


def _used_password(error: OperationalError) -> bool:
    """Whether the server asked for the password and then refused the connection: it runs, its certificate is verified.

    False for a connection that was lost later.
    """
    used = getattr(getattr(error.orig, "pgconn", None), "used_password", False)
    return bool(used) and error.statement is None and not error.connection_invalidated


@contextmanager
def transaction(settings: DatabaseSettings) -> Iterator[Connection]:
    """Open one transaction in the `deposit` database on a temporary engine. Raises ConfigError or UpstreamError."""
    engine = connect(settings)
    try:
        with reachable(engine), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def revisions(connection: Connection) -> "Config":
    """Alembic's configuration for migrating the schema on this connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # by package name: in a path, the configuration would interpolate a `%`
    config.set_main_option("script_location", "deposit:migrations")
    return config


def migrate(engine: Engine) -> None:
    """Upgrade the schema to the newest revision; idempotent, and safe to run concurrently."""
    from alembic import command

    with reachable(engine), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('deposit.migrate'))"))
        command.upgrade(revisions(connection), "head")
