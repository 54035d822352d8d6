import time
from collections.abc import Callable
from typing import Any

import pytest
from chaos import Load, Postgres, Shipper

from deposit.settings import Settings

pytestmark = pytest.mark.servers


def test_no_answer_waits_for_postgres_and_none_is_lost_or_stored_twice(
    request: pytest.FixtureRequest,
    server: Postgres,
    settings: Settings,
    shipper: Shipper,
    serve: Callable[[Settings], Any],
    put_load: Callable[[int], Load],
    drained: Callable[[], None],
) -> None:
    seconds = request.config.getoption("outage_seconds")
    with serve(settings) as service, put_load(service.port) as load, shipper.running():
        load.until_more(50)
        server.freeze()
        time.sleep(seconds / 2)
        server.crash()
        time.sleep(seconds / 2)
        during = len(load.answered)
        load.until_more(50)
        server.start()
        load.until_more(50)
        assert during > 150
    assert load.refused == []
    assert load.broken == 0
    with shipper.running():
        drained()
    stored = server.stored()
    assert set(load.answered) <= set(stored)
    assert set(stored.values()) == {1}
    assert len(set(load.answered)) == len(load.answered)


def test_a_service_killed_under_load_loses_nothing_that_it_answered(
    request: pytest.FixtureRequest,
    server: Postgres,
    settings: Settings,
    shipper: Shipper,
    serve: Callable[[Settings], Any],
    put_load: Callable[[int], Load],
    drained: Callable[[], None],
) -> None:
    with serve(settings) as service, put_load(service.port) as load, shipper.running():
        for _ in range(request.config.getoption("kills")):
            load.until_more(50)
            service.kill()
            service.start()
        load.until_more(50)
        assert load.broken > 0
    assert [status for status, _, _ in load.refused if status != 503] == []
    with shipper.running():
        drained()
    stored = server.stored()
    assert set(load.answered) <= set(stored)
    assert set(stored.values()) == {1}
