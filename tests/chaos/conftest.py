from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos import Load, Postgres, Shipper, until

from deposit.log.spool import Spool
from deposit.settings import Settings


@pytest.fixture
def server(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Postgres]:
    """A PostgreSQL that runs and may be stopped."""
    folder = tmp_path / "postgres"
    folder.mkdir()
    running = Postgres(folder, free_ports(1))
    try:
        running.start()
        running.migrate()
        yield running
    finally:
        running.stop()


@pytest.fixture
def settings(server: Postgres, tmp_path: Path) -> Settings:
    state = tmp_path / "state"
    state.mkdir()
    return Settings(state_dir=state, database=server.settings)


@pytest.fixture
def shipper(settings: Settings) -> Iterator[Shipper]:
    """A shipper that is not started yet."""
    running = Shipper(settings)
    yield running
    running.stop()


@pytest.fixture
def spool(settings: Settings) -> Iterator[Spool]:
    """The spool of those settings, beside the processes that use it."""
    opened = Spool.of(settings)
    yield opened
    opened.close()


@pytest.fixture
def drained(spool: Spool) -> Callable[[], None]:
    """Waits until everything in the spool is stored."""

    def wait() -> None:
        until(lambda: spool.state().rows == 0)
        assert spool.state().aside_rows == 0

    return wait


@pytest.fixture
def put_load(customers: list[dict[str, Any]]) -> Callable[[int], Load]:
    """Clients for the service on a port."""
    return lambda port: Load(port, customers)
