"""The `deposit` database: its engine, its transactions, its migrations.

Needs no model library, so that Airflow's environment can import it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from deposit.conninfo import secured
from deposit.errors import ConfigError, LoginError, UpstreamError, remedy
from deposit.sections import DatabaseSettings

if TYPE_CHECKING:
    from alembic.config import Config


_SETTINGS = "deposit_settings"
"""Of an engine's options: the names of the settings that its connections come from, the URL's first."""
_AUTHORITIES = "DEPOSIT_DATABASE__CA_FILE"
_ADDRESSED = re.compile(r"^(?:connection failed: )?(?:connection to server at .+?, port \d+ failed: )?(?:FATAL: +)?")
"""What libpq puts before a reason: an address, which stands in the URL too."""


def connect(settings: DatabaseSettings) -> Engine:
    """An engine for the `deposit` database. Raises ConfigError if its URL is missing or malformed."""
    if settings.url is None:
        raise ConfigError(f"DEPOSIT_DATABASE__URL is not set: {remedy(None)}, or set it")
    return engine_for(settings.url.get_secret_value(), "DEPOSIT_DATABASE__URL", settings)


def engine_for(url: str, setting: str, database: DatabaseSettings | None = None) -> Engine:
    """An engine for any SQLAlchemy URL; plain `postgresql://` means psycopg 3. Raises ConfigError.

    Args:
        url: of the database.
        setting: where the URL is from, for messages.
        database: how the server is verified and the password made; None leaves both to the URL.
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
    if database is not None:
        # at each connection: a token is good for minutes, an engine for days
        event.listen(engine, "do_connect", lambda _d, _r, _a, given: given.update(secured(given, database)))
    return engine


def _settings(setting: str, database: DatabaseSettings | None) -> tuple[str, ...]:
    """What to correct where a connection fails, beginning with what a refused login is about."""
    names = [setting]
    if database is not None and database.iam:
        names.append("the role's rds-db:connect")
    if database is not None and database.ca_file:
        names.append(_AUTHORITIES)
    return tuple(names)


@contextmanager
def reachable(engine: Engine) -> Iterator[None]:
    """Turn a lost or refused connection inside the block into UpstreamError, LoginError if it is for the password."""
    try:
        yield
    except OperationalError as error:
        kind = LoginError if _used_password(error) else UpstreamError
        raise kind(_unusable(engine, error)) from error
    except DBAPIError as error:
        raise UpstreamError(f"the database refused a statement: {str(error.orig).splitlines()[0]}") from error


def _unusable(engine: Engine, error: OperationalError) -> str:
    """Why a database cannot be used, where it is, and what to do; the reason first, for an address may be long."""
    # a password may stand in the query too
    url = engine.url.set(query={})
    reason = _ADDRESSED.sub("", str(error.orig).splitlines()[0])
    settings = engine.get_execution_options().get(_SETTINGS, ("its address",))
    if _used_password(error):
        todo = f"correct {' or '.join(name for name in settings if name != _AUTHORITIES)}"
    else:
        todo = f"{remedy(url.host)}, or correct {' or '.join(settings)}"
    return f"cannot use the database: {reason} ({url.render_as_string(hide_password=True)}); {todo}"


def _used_password(error: OperationalError) -> bool:
    """Whether a connection was refused after its password was asked for: the server runs, its certificate was verified.

    Not so for a connection that was lost later.
    """
    used = getattr(getattr(error.orig, "pgconn", None), "used_password", False)
    return bool(used) and error.statement is None and not error.connection_invalidated


@contextmanager
def transaction(settings: DatabaseSettings) -> Iterator[Connection]:
    """One transaction in the `deposit` database, by an engine of its own. Raises ConfigError or UpstreamError."""
    engine = connect(settings)
    try:
        with reachable(engine), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def revisions(connection: Connection) -> "Config":
    """What Alembic needs to go from one revision of the schema to another on this connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # by the package's name: in a path, a `%` would be the configuration's own
    config.set_main_option("script_location", "deposit:migrations")
    return config


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision; safe to repeat and to run twice at once."""
    from alembic import command

    with reachable(engine), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('deposit.migrate'))"))
        command.upgrade(revisions(connection), "head")
