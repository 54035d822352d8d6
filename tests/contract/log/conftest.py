import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.database import connect, engine_for, migrate
from deposit.deploy import servers
from deposit.log import predictions, shipper
from deposit.log.batch import prepare
from deposit.log.entries import (
    Content,
    RankedBlock,
    ReportedOutcome,
    ReportedOutcomes,
    ScoredRequest,
    Traffic,
    encode_entry,
)
from deposit.log.spool import Spool
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

MODEL = "deposit-v7"


class Addresses(NamedTuple):
    """One database by the role that asks."""

    superuser: str
    owner: str
    writer: str
    reader: str


class Log:
    """A spool and a migrated database with the stack's roles; `ask` is its owner."""

    def __init__(self, settings: Settings, addresses: Addresses) -> None:
        self.settings = settings
        self.addresses = addresses
        self.spool = Spool.of(settings)
        self.writer = psycopg.connect(addresses.writer, autocommit=True)
        prepare(self.writer)
        predictions.maintain_partitions(self.writer, None)

    def append(self, *contents: Content) -> None:
        self.spool.append([encode_entry(content, _rows(content)) for content in contents])

    def ship(self, rows: int = 20_000) -> None:
        while batch := self.spool.read(rows):
            shipper.ship(self.writer, self.spool, batch)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.addresses.owner) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def count(self, table: str = "predictions") -> int:
        ((count,),) = self.ask(f"SELECT count(*) FROM {table}")
        return int(count)

    def close(self) -> None:
        self.spool.close()
        self.writer.close()


def _rows(content: Content) -> int:
    if isinstance(content, ScoredRequest):
        return len(content.probabilities)
    if isinstance(content, Traffic):
        return len(content.counts)
    return len(content.outcomes) if isinstance(content, ReportedOutcomes) else 1


def prepare_database(superuser: str, name: str) -> Addresses:
    """A database as `deposit up` makes it, in any PostgreSQL."""
    admin = engine_for(superuser, "test")
    servers.ensure_database(admin, name, "log_owner", "owner-password")
    admin.dispose()

    def address(user: str | None = None) -> str:
        url = make_url(superuser).set(drivername="postgresql", database=name)
        url = url.set(username=user, password=f"{user.removeprefix('log_')}-password") if user else url
        return url.render_as_string(hide_password=False)

    made = Addresses(address(), address("log_owner"), address("log_writer"), address("log_reader"))
    owner = connect(DatabaseSettings(url=made.owner))
    migrate(owner)
    owner.dispose()
    inside = engine_for(made.superuser, "test")
    servers.ensure_reader(inside, name, "log_owner", "log_reader", "reader-password")
    servers.ensure_writer(inside, name, "log_writer", "writer-password")
    inside.dispose()
    return made


@pytest.fixture(scope="session")
def make_log_database() -> Callable[[str, str], Addresses]:
    """`prepare_database`."""
    return prepare_database


@pytest.fixture(scope="session")
def addresses(postgres: str) -> Addresses:
    """The log's database, shared by the session."""
    return prepare_database(postgres, "log")


@pytest.fixture
def log(addresses: Addresses, tmp_path: Path) -> Iterator[Log]:
    """An empty log."""
    database = DatabaseSettings(url=addresses.owner, writer_url=addresses.writer)
    log = Log(Settings(state_dir=tmp_path / "state", database=database), addresses)
    log.ask("TRUNCATE predictions, predictions_by_minute, outcomes, traffic, latencies_by_minute, spool_states")
    yield log
    log.close()


@pytest.fixture(scope="session")
def scored() -> Callable[..., ScoredRequest]:
    """Requests to /predict as the service logs them."""

    def make(count: int = 1, *, ids: Any = None, event_time: int | None = None, **changed: Any) -> ScoredRequest:
        customers = [{**_customer(number), "id": None if ids is None else ids[number]} for number in range(count)]
        for name in changed.keys() & set(NAMES):
            customers = [{**customer, name: changed[name]} for customer in customers]
        return ScoredRequest(
            request_id="r-1",
            client="marketing",
            model_id=MODEL,
            threshold=0.3,
            event_time=time.time_ns() // 1000 if event_time is None else event_time,
            latency_ms=1.5,
            prediction_ids=os.urandom(16 * count),
            probabilities=[0.1 + 0.2 * (number % 4) for number in range(count)],
            body=json.dumps({"customers": customers, "model": MODEL}).encode(),
        )

    return make


@pytest.fixture(scope="session")
def ranked() -> Callable[..., RankedBlock]:
    """Blocks of a request to /rank as the service logs them."""

    def make(count: int, ids: Any = None, event_time: int | None = None, **changed: Any) -> RankedBlock:
        table = ranked_table(count, ids)
        for name, column in changed.items():
            table = table.set_column(table.column_names.index(name), name, column) if column else table.drop([name])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table, max_chunksize=1000)
        now = time.time_ns() // 1000 if event_time is None else event_time
        return RankedBlock("r-2", "marketing", MODEL, 0.3, now, 250.0, sink.getvalue().to_pybytes())

    return make


@pytest.fixture(scope="session")
def stated() -> Callable[..., ReportedOutcomes]:
    """Requests to /outcomes: triples of a prediction, whether it subscribed, and when, if that was said."""

    def make(*outcomes: tuple[UUID, bool, datetime | None], received: datetime) -> ReportedOutcomes:
        reports = [ReportedOutcome(str(i), s, _us(at) if at else None) for i, s, at in outcomes]
        return ReportedOutcomes("r-3", "branch", _us(received), reports)

    return make


def ranked_table(count: int, ids: Any) -> Any:
    random = np.random.default_rng(count)
    columns: dict[str, Any] = {}
    for column in FEATURES:
        if isinstance(column, Category):
            values = np.array(column.allowed, dtype=object)[random.integers(0, len(column.allowed), count)]
            columns[column.name] = pa.array(values, pa.string())
        elif column.integer:
            columns[column.name] = pa.array(random.integers(int(column.low), int(column.high) + 1, count))
        else:
            columns[column.name] = pa.array(random.uniform(column.low, column.high, count))
    columns["id"] = pa.array(ids or [None] * count, pa.string())
    columns["prediction_id"] = pa.array([os.urandom(16) for _ in range(count)], pa.binary(16))
    columns["probability"] = pa.array(random.random(count))
    return pa.table(columns)


def _customer(number: int) -> dict[str, Any]:
    return {
        column.name: column.allowed[number % len(column.allowed)]
        if isinstance(column, Category)
        else int(column.low) + number % 10
        if column.integer
        else column.low + 1 / (number + 3)
        for column in FEATURES
    }


def _us(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
