"""The preparation of the servers, embedded or not: databases, roles, schema, buckets. Every step may be repeated."""

import time
from collections.abc import Callable
from urllib.parse import quote

from deposit.database import connect, engine_for, migrate
from deposit.errors import UpstreamError
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.stack import roles
from deposit.stack.credentials import Credentials
from deposit.stack.grants import ADMIN
from deposit.stack.postgres import SUPERUSER
from deposit.store import ObjectStore

OWNER, READER, WRITER = "deposit", "reader", "writer"
"""Roles in the database `deposit`."""
_PAUSE = 0.5


def database_url(address: str, role: str, password: str, database: str = "deposit") -> str:
    """The URL of a database for a role; `address` is `host:port`."""
    return f"postgresql://{role}:{quote(password)}@{address}/{database}"


def prepare_databases(address: str, secrets: Credentials) -> None:
    """Make the databases with their owners, bring `deposit` to the newest schema, make its other roles.

    Passwords that have changed are set anew. `address` is `host:port`. Raises UpstreamError.
    """
    admin = engine_for(database_url(address, SUPERUSER, secrets.postgres_superuser, "postgres"), "the server's address")
    for name, password in (
        (OWNER, secrets.postgres_deposit),
        ("mlflow", secrets.postgres_mlflow),
        ("airflow", secrets.postgres_airflow),
    ):
        roles.ensure_database(admin, name, name, password)
    admin.dispose()
    owner = connect(DatabaseSettings.model_validate({"url": database_url(address, OWNER, secrets.postgres_deposit)}))
    migrate(owner)
    owner.dispose()
    inside = engine_for(database_url(address, SUPERUSER, secrets.postgres_superuser), "the server's address")
    roles.ensure_reader(inside, "deposit", OWNER, READER, secrets.postgres_reader)
    roles.ensure_writer(inside, "deposit", WRITER, secrets.postgres_writer)
    inside.dispose()


def prepare_buckets(store: StoreSettings, endpoint: str, secrets: Credentials) -> None:
    """Make the buckets that are missing, as the store's administrator. Raises UpstreamError."""
    admin = {"endpoint_url": endpoint, "access_key": ADMIN, "secret_key": secrets.store_admin}
    ObjectStore(StoreSettings.model_validate(store.model_dump() | admin)).ensure_buckets()


def when_able(prepare: Callable[[], None], seconds: float) -> None:
    """Try until it works: a server that has just come back may refuse what it will do a second later.

    Raises the last UpstreamError when the seconds have passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return prepare()
        except UpstreamError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)
