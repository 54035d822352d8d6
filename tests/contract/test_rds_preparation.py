"""The preparation of RDS by a master user who is no superuser, as RDS's is not."""

from collections.abc import Callable
from secrets import token_hex

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from deposit.database import engine_for
from deposit.deploy.rds import prepare_rds
from deposit.deploy.servers import ensure_database
from deposit.errors import ConfigError
from deposit.sections import DatabaseSettings

pytestmark = pytest.mark.servers
READERS = "reader-password"


@pytest.fixture
def superuser(make_database: Callable[[], str]) -> str:
    return make_url(make_database()).set(drivername="postgresql", database="postgres").render_as_string(False)


@pytest.fixture
def wanted(superuser: str) -> DatabaseSettings:
    """URLs as Terraform's secrets hold them; on the server there is the master alone, and RDS's role for tokens."""
    suffix = token_hex(4)
    master = f"master_{suffix}"
    with psycopg.connect(superuser, autocommit=True) as connection:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'm' CREATEDB CREATEROLE")
        connection.execute(create.format(sql.Identifier(master)))
        for role in ("rds_iam", "reader"):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
            grant = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION")
            connection.execute(grant.format(sql.Identifier(role), sql.Identifier(master)))

    def url(role: str, password: str, database: str) -> str:
        parts = make_url(superuser).set(username=role, password=password, database=database)
        return parts.render_as_string(hide_password=False)

    return DatabaseSettings.model_validate(
        {
            "admin_url": url(master, "m", "postgres"),
            "url": url(f"owner_{suffix}", "o%1", f"deposit_{suffix}"),
            "writer_url": url(f"writer_{suffix}", "w", f"deposit_{suffix}"),
            "mlflow_url": url(f"mlflow_{suffix}", "l", f"mlflow_{suffix}"),
            "airflow_url": url(f"airflow_{suffix}", "a", f"airflow_{suffix}"),
            "reader_password": READERS,
        }
    )


def rows(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def secret(database: DatabaseSettings, name: str) -> str:
    return str(getattr(database, name).get_secret_value())


def test_each_part_gets_its_database_and_its_rights(wanted: DatabaseSettings) -> None:
    prepare_rds(wanted)
    prepare_rds(wanted)  # safe to repeat

    assert rows(secret(wanted, "url"), "SELECT count(*) FROM predictions") == [(0,)]
    for name in ("mlflow_url", "airflow_url"):
        with psycopg.connect(secret(wanted, name), autocommit=True) as connection:
            connection.execute("CREATE TABLE theirs (x int)")
    reader = make_url(secret(wanted, "url")).set(username="reader", password=READERS).render_as_string(False)
    assert rows(reader, "SELECT count(*) FROM releases") == [(0,)]
    for url, statement in ((reader, "DELETE FROM releases"), (secret(wanted, "writer_url"), "SELECT * FROM releases")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(url, statement)
    other = make_url(secret(wanted, "mlflow_url")).set(database=make_url(secret(wanted, "url")).database)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        rows(other.render_as_string(hide_password=False), "SELECT 1")


def test_a_changed_password_is_set_anew(wanted: DatabaseSettings) -> None:
    prepare_rds(wanted)
    changed = make_url(secret(wanted, "writer_url")).set(password="new").render_as_string(hide_password=False)
    prepare_rds(DatabaseSettings.model_validate(wanted.model_dump() | {"writer_url": changed}))
    assert rows(changed, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        rows(secret(wanted, "writer_url"), "SELECT 1")


def test_a_role_without_a_password_logs_in_with_tokens(wanted: DatabaseSettings, superuser: str) -> None:
    admin = engine_for(secret(wanted, "admin_url"), "test")
    ensure_database(admin, f"tokens_{(role := token_hex(4))}", role, None)
    admin.dispose()
    statement = f"SELECT pg_has_role('{role}', 'rds_iam', 'member'), rolcanlogin FROM pg_roles WHERE rolname = '{role}'"
    assert rows(superuser, statement) == [(True, True)]


@pytest.mark.parametrize("missing", ["admin_url", "url", "writer_url", "mlflow_url", "airflow_url", "reader_password"])
def test_what_is_missing_is_named_before_anything_is_made(
    missing: str, wanted: DatabaseSettings, superuser: str
) -> None:
    before = rows(superuser, "SELECT rolname FROM pg_roles ORDER BY 1")
    with pytest.raises(ConfigError, match=f"DEPOSIT_DATABASE__{missing.upper()} is not set"):
        prepare_rds(wanted.model_copy(update={missing: None}))
    assert rows(superuser, "SELECT rolname FROM pg_roles ORDER BY 1") == before
