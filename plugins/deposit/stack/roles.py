"""The databases and roles in PostgreSQL, embedded or not; every step may be repeated."""

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from deposit.database import reachable


def ensure_database(engine: Engine, name: str, owner: str, password: str) -> None:
    """A database owned by a role that may log in with this password and do nothing elsewhere."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _ensure_role(connection, owner, password)
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            create = sql.SQL("CREATE DATABASE {} OWNER {}")
            _execute(connection, create.format(sql.Identifier(name), sql.Identifier(owner)))
        _execute(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def ensure_reader(engine: Engine, database: str, owner: str, reader: str, password: str) -> None:
    """A role that may only SELECT from what `owner` makes in `database`; `engine` is connected to that database."""
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


def ensure_writer(engine: Engine, database: str, writer: str, password: str) -> None:
    """The shipper's role, which may only add to the log; `engine` is connected to `database`, which is migrated."""
    with reachable(engine), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _ensure_role(connection, writer, password)
        names = {"database": sql.Identifier(database), "writer": sql.Identifier(writer)}
        for statement in (
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {writer}",
            "GRANT USAGE ON SCHEMA public TO {writer}",
            "GRANT INSERT ON public.predictions, public.outcomes, public.traffic, public.spool_states TO {writer}",
            # to tell a statement that says what is known already
            "GRANT SELECT (id, prediction_id, subscribed, at, received_at) ON public.outcomes TO {writer}",
            "GRANT EXECUTE ON FUNCTION public.make_prediction_days(date[]), public.drop_prediction_day(integer),"
            " public.drop_old_outcomes(integer), public.drop_old_traffic(integer) TO {writer}",
        ):
            _execute(connection, sql.SQL(statement).format(**names))


def _ensure_role(connection: Connection, role: str, password: str) -> None:
    there = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if there else "CREATE ROLE {} LOGIN PASSWORD {}")
    _execute(connection, statement.format(sql.Identifier(role), sql.Literal(password)))


def _execute(connection: Connection, statement: sql.Composed) -> None:
    """Run a statement of identifiers and literals, which bound parameters cannot carry."""
    connection.connection.cursor().execute(statement)
