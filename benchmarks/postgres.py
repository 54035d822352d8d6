"""The PostgreSQL server that peers log to: the embedded one, run as the stack runs it."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy.engine import URL

from benchmarks.processes import running
from deposit.database import connect as engine_of
from deposit.database import migrate
from deposit.deploy.credentials import SUPERUSER
from deposit.deploy.local import postgres
from deposit.sections import DatabaseSettings

START_SECONDS = 30


class Database:
    """A PostgreSQL server with one database per logging peer."""

    def __init__(self, port: int, password: str, process: psutil.Process) -> None:
        self.process = process
        self._port = port
        self._password = password

    def make(self, name: str) -> None:
        """Create an empty database."""
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")

    def settings(self, name: str) -> DatabaseSettings:
        """Return the product's settings for a database."""
        url = URL.create("postgresql+psycopg", SUPERUSER, self._password, "127.0.0.1", self._port, database=name)
        text = url.render_as_string(hide_password=False)
        return DatabaseSettings(url=text, writer_url=text)

    def migrate(self, name: str) -> None:
        """Create the product's tables in a database."""
        engine = engine_of(self.settings(name))
        migrate(engine)
        engine.dispose()

    def variables(self, name: str) -> dict[str, str]:
        """Return libpq's environment variables for a database."""
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self._port), "PGUSER": SUPERUSER,
            "PGPASSWORD": self._password, "PGDATABASE": name,
        }  # fmt: skip

    def count(self, name: str) -> int:
        """Return the number of rows in a database's table `predictions`."""
        return int(self._scalar(name, "SELECT count(*) FROM predictions"))

    def version(self) -> str:
        """Return the server's version."""
        return str(self._scalar("postgres", "SHOW server_version"))

    def connect(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit mode."""
        return psycopg.connect(
            host="127.0.0.1", port=self._port, user=SUPERUSER, password=self._password, dbname=name,
            autocommit=True, connect_timeout=5,
        )  # fmt: skip

    def _scalar(self, name: str, query: str) -> Any:
        with self.connect(name) as connection:
            row = connection.execute(query).fetchone()
        return row[0] if row else None


@contextmanager
def database(folder: Path, port: int, cores: frozenset[int]) -> Iterator[Database]:
    """Run a server on these cores until the block ends."""
    password = secrets.token_hex(16)
    postgres.initialise(folder / "cluster", password)
    command = postgres.command(folder / "cluster", port)
    with running(command, {"PATH": "/usr/bin:/bin"}, cores, folder / "postgres.log") as process:
        deadline = time.monotonic() + START_SECONDS
        while not postgres.ready(port):
            if time.monotonic() > deadline or not process.is_running():
                raise SystemExit(f"error: PostgreSQL does not start: see {folder / 'postgres.log'}")
            time.sleep(0.1)
        yield Database(port, password, process)
