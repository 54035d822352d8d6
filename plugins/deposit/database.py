"""The `deposit` database: its tables, its engine, its migrations.

Needs no model library, so that Airflow's environment can import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Engine,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    create_engine,
    func,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from deposit.errors import ConfigError, UpstreamError
from deposit.sections import DatabaseSettings

if TYPE_CHECKING:
    from alembic.config import Config

metadata = MetaData()

datasets = Table(
    "datasets",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("source", Text, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("first_period", String(7), nullable=False),
    Column("last_period", String(7), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("parent", String(64)),
    Column("uri", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

rejects = Table(
    "rejects",
    metadata,
    Column("source_sha256", String(64), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

releases = Table(
    "releases",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("model_id", Text, nullable=False),
    # why it was asked for; `reason` is why it ended
    Column("why", Text, nullable=False, server_default=""),
    # empty, as is the target, for a step of the loop that releases nothing
    Column("bento_tag", Text, nullable=False, server_default=""),
    Column("bento_uri", Text, nullable=False, server_default=""),
    Column("bento_sha256", String(64), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("target", String(16), nullable=False, server_default=""),
    Column("endpoint", Text),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("releases_one_live", "state", unique=True, postgresql_where=text("state = 'live'")),
)

# of production's traffic
leases = Table(
    "leases",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    # release that was live; null if none was
    Column("before", BigInteger),
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
)

predictions = Table(
    "predictions",
    metadata,
    Column("prediction_id", Uuid, primary_key=True),
    Column("event_time", DateTime(timezone=True), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("customer_id", Text),
    Column("model_id", Text, nullable=False),
    # the features, with `_` for `.`
    Column("age", SmallInteger, nullable=False),
    Column("job", Text, nullable=False),
    Column("marital", Text, nullable=False),
    Column("education", Text, nullable=False),
    Column("default", Text, nullable=False),
    Column("housing", Text, nullable=False),
    Column("loan", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("day_of_week", Text, nullable=False),
    Column("campaign", SmallInteger, nullable=False),
    Column("pdays", SmallInteger, nullable=False),
    Column("previous", SmallInteger, nullable=False),
    Column("poutcome", Text, nullable=False),
    Column("emp_var_rate", Double, nullable=False),
    Column("cons_price_idx", Double, nullable=False),
    Column("cons_conf_idx", Double, nullable=False),
    Column("euribor3m", Double, nullable=False),
    Column("nr_employed", Double, nullable=False),
    Column("probability", Double, nullable=False),
    Column("subscribes", Boolean, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("latency_ms", REAL, nullable=False),
    Column("client", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("predictions_by_model", "model_id", "event_time"),
    Index("predictions_by_customer", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
    Index(
        "predictions_by_request",
        "request_id",
        postgresql_using="brin",
        postgresql_ops={"request_id": "text_bloom_ops"},
        postgresql_with={"pages_per_range": 32, "autosummarize": "on"},
    ),
    postgresql_partition_by="RANGE (event_time)",
)

# kept by a trigger of `predictions`
predictions_by_minute = Table(
    "predictions_by_minute",
    metadata,
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("subscribes", Boolean, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("probability_sum", Double, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("prediction_id", Uuid, nullable=False),
    Column("subscribed", Boolean, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("client", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("outcomes_statements", "prediction_id", text("at DESC"), "subscribed", unique=True),
    Index("outcomes_by_stored", "stored_at"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("instance", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("status", SmallInteger, primary_key=True, autoincrement=False),
    Column("client", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("latency_upto", ARRAY(Double), nullable=False),
    Column("latency_count", ARRAY(BigInteger), nullable=False),
)

# kept by a trigger of `traffic`
latencies_by_minute = Table(
    "latencies_by_minute",
    metadata,
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("route", Text, primary_key=True),
    Column("client", Text, primary_key=True),
    Column("model_id", Text, primary_key=True),
    Column("upto", Double, primary_key=True),
    Column("requests", BigInteger, nullable=False),
)

spool_states = Table(
    "spool_states",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("entries", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("oldest_seconds", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("aside_rows", BigInteger, nullable=False),
    Column("shipped_rows", BigInteger, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    Column("period", String(10), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("column", Text, primary_key=True, server_default=""),
    Column("value", Double, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("computed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


def connect(settings: DatabaseSettings) -> Engine:
    """An engine for the `deposit` database. Raises ConfigError if its URL is missing or malformed."""
    if settings.url is None:
        raise ConfigError("DEPOSIT_DATABASE__URL is not set: start the stack (`deposit up`) or set it")
    return engine_for(settings.url.get_secret_value(), "DEPOSIT_DATABASE__URL")


def engine_for(url: str, setting: str) -> Engine:
    """An engine for any SQLAlchemy URL; plain `postgresql://` means psycopg 3. Raises ConfigError."""
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
        return create_engine(parsed, **options)
    except ImportError as error:
        raise ConfigError(f"{setting}: no driver for {parsed.drivername!r} is installed") from error


@contextmanager
def reachable(engine: Engine, setting: str = "DEPOSIT_DATABASE__URL") -> Iterator[None]:
    """Turn a lost or refused connection inside the block into UpstreamError."""
    try:
        yield
    except OperationalError as error:
        # a password may stand in the query too
        url = engine.url.set(query={}).render_as_string(hide_password=True)
        first_line = str(error.orig).splitlines()[0]
        raise UpstreamError(
            f"cannot use the database {url}: {first_line}; start it (`deposit up`) or correct {setting}"
        ) from error
    except DBAPIError as error:
        raise UpstreamError(f"the database refused a statement: {str(error.orig).splitlines()[0]}") from error


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
