"""One stack for all files of this folder, which run in their order: each goes on where the one before ended."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chaos import until
from composed import Compose, logger

BUILD_SECONDS = 2400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test is the first waits for the images of a machine that has none."""
    for item in [item for item in items if "stack" in getattr(item, "fixturenames", ())][:1]:
        item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, free_ports: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    """The images, and nothing that runs yet, on an engine whose client knows a proxy that is dead."""
    first = free_ports(8)
    names = ("GATEWAY", "AIRFLOW", "MLFLOW", "STORE")
    ports = {f"DEPOSIT_STACK__{name}": first + place for place, name in enumerate(names)}
    ports |= {"STORE_CONSOLE": first + 4, "GRAFANA": first + 5, "DEPOSIT_STACK__EVIDENTLY": first + 6}
    ports |= {"DEPOSIT_STACK__DASK": first + 7}
    stack = Compose(request.config.getoption("compose"), ports)
    with stack.built(request.config.getoption("keep_stack"), BUILD_SECONDS):
        stack.behind_a_dead_proxy(tmp_path_factory.mktemp("docker"))
        yield stack


@pytest.fixture(scope="session")
def compose(stack: Compose) -> Compose:
    """The stack, healthy, before anything has been released."""
    logger.info("healthy %.0f s after `up --wait`", stack.up())
    return stack


@pytest.fixture(scope="session")
def logins(compose: Compose) -> dict[str, Any]:
    """What `make credentials` prints."""
    return compose.logins()


@pytest.fixture(scope="session")
def stored(compose: Compose) -> Callable[[list[str]], None]:
    """Waits until every prediction is in PostgreSQL, and sees that it is there once."""

    def wait(answered: list[str]) -> None:
        def missing() -> set[str]:
            counts = compose.sql("SELECT prediction_id::text, count(*) FROM predictions GROUP BY 1")
            assert {count for _, count in counts} == {1}
            return set(answered) - {prediction_id for prediction_id, _ in counts}

        until(lambda: not missing())

    return wait
