"""Preparation of the servers, embedded or not: databases, roles, schema, buckets. Every step is idempotent."""

from urllib.parse import quote

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from deposit.database import connect, engine_for, migrate, reachable
from deposit.deploy.bucket_policies import ADMIN
from deposit.deploy.credentials import SUPERUSER, Credentials
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.store import ObjectStore

OWNER, READER, WRITER = "deposit", "reader", "writer"
"""Roles in the database `deposit`."""


def database_url(address: str, role: str, password: str, database: str = "deposit") -> str:
    """The URL of a database for a role; `address` is `host:port`."""
    return f"postgresql://{role}:{quote(password)}@{address}/{database}"


def prepare_databases(address: str, secrets: Credentials) -> None:
    """Create the databases with their owners, migrate `deposit`, and create its other roles.

    Passwords that have changed are updated. `address` is `host:port`. Raises UpstreamError.
    """
    admin = engine_for(database_url(address, SUPERUSER, secrets.postgres_superuser, "postgres"), "the server's address")
    for name, password in (
        (OWNER, secrets.postgres_deposit),
        ("mlflow", secrets.postgres_mlflow),
        ("airflow", secrets.postgres_airflow),
    ):
        ensure_database(admin, name, name, password)
    admin.dispose()
    owner = connect(DatabaseSettings.model_validate({"url": database_url(address, OWNER, secrets.postgres_deposit)}))
    migrate(owner)
    owner.dispose()
    inside = engine_for(database_url(address, SUPERUSER, secrets.postgres_superuser), "the server's address")
    ensure_reader(inside, "deposit", OWNER, READER, secrets.postgres_reader)
    ensure_writer(inside, "deposit", WRITER, secrets.postgres_writer)
    inside.dispose()


def prepare_buckets(store: StoreSettings, endpoint: str, secrets: Credentials) -> None:
    """Create the buckets that are missing, as the store's administrator. Raises UpstreamError."""
    admin = {"endpoint_url": endpoint, "access_key": ADMIN, "secret_key": secrets.store_admin}
    ObjectStore(StoreSettings.model_validate(store.model_dump() | admin)).ensure_buckets()


def ensure_database(engine: Engine, name: str, owner: str, password: str | None) -> None:
    """Create a database and its owner, a role that can log in and has no rights on other databases.

    Without a password the role logs in with IAM tokens, on RDS.
    """
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _ensure_role(connection, owner, password)
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            create = sql.SQL("CREATE DATABASE {} OWNER {}")
            _execute(connection, create.format(sql.Identifier(name), sql.Identifier(owner)))
        _execute(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def ensure_reader(engine: Engine, database: str, owner: str, reader: str, password: str) -> None:
    """Create a role that may only SELECT from the tables of `owner` in `database`, which `engine` is connected to."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _ensure_role(connection, reader, password)
        names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner), "reader": sql.Identifier(reader)}
        for statement in (
            "GRANT CONNECT ON DATABASE {database} TO {reader}",
            "GRANT USAGE ON SCHEMA public TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {reader}",
        ):
            _execute(connection, sql.SQL(statement).format(**names))


def ensure_writer(engine: Engine, database: str, writer: str, password: str | None) -> None:
    """Create the shipper's role, which may only add to the log, in the migrated `database` that `engine` connects to.

    Without a password the role logs in with IAM tokens, on RDS.
    """
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _ensure_role(connection, writer, password)
        names = {"database": sql.Identifier(database), "writer": sql.Identifier(writer)}
        for statement in (
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {writer}",
            "GRANT USAGE ON SCHEMA public TO {writer}",
            "GRANT INSERT ON public.predictions, public.outcomes, public.traffic, public.spool_states TO {writer}",
            # to recognise outcomes that are already stored
            "GRANT SELECT (id, prediction_id, subscribed, at, received_at) ON public.outcomes TO {writer}",
            "GRANT EXECUTE ON FUNCTION public.make_prediction_days(date[]), public.drop_prediction_day(integer),"
            " public.drop_old_outcomes(integer), public.drop_old_traffic(integer) TO {writer}",
        ):
            _execute(connection, sql.SQL(statement).format(**names))


def _ensure_role(connection: Connection, role: str, password: str | None) -> None:
    there = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    name = sql.Identifier(role)
    _execute(connection, sql.SQL("ALTER ROLE {} LOGIN" if there else "CREATE ROLE {} LOGIN").format(name))
    if password is None:
        _execute(connection, sql.SQL("GRANT rds_iam TO {}").format(name))
    else:
        _execute(connection, sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(password)))
    if not connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
        # without superuser rights, as on RDS, only a member of a role may create objects that belong to it
        _execute(connection, sql.SQL("GRANT {} TO CURRENT_USER").format(name))


def _execute(connection: Connection, statement: sql.Composed) -> None:
    """Run a statement composed of identifiers and literals, which cannot be bound parameters."""
    connection.connection.cursor().execute(statement)
