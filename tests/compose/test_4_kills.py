import time
from collections.abc import Callable
from typing import Any

import pytest
from chaos import Load
from composed import Compose, logger

WITHIN = 60
PARTS = (
    "shipper", "postgres", "object-store", "mlflow", "releaser", "serving", "gateway",
    "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_part_killed_under_load_comes_back_and_nothing_answered_is_lost(
    compose: Compose,
    logins: dict[str, Any],
    customers: list[dict[str, Any]],
    stored: Callable[[list[str]], None],
    part: str,
) -> None:
    before = compose.container(part)["State"]["Pid"]
    port = compose.ports["DEPOSIT_STACK__GATEWAY"]
    with Load(port, customers, logins["api"]["marketing"], pause=0.05) as load:
        load.until_more(20)
        compose.kill(part)
        killed = time.monotonic()
        while not (_pid(compose, part) not in (None, before) and compose.healthy()):
            assert time.monotonic() < killed + WITHIN, compose.run("ps", "--all").stdout
            time.sleep(0.5)
        logger.info("%s: healthy %.0f s after SIGKILL", part, time.monotonic() - killed)
        load.until_more(20)
    if part not in ("gateway", "serving"):
        assert load.broken == 0
        assert load.refused == []
    stored(load.answered)


def _pid(compose: Compose, part: str) -> int | None:
    try:
        pid: int = compose.container(part)["State"]["Pid"]
    except AssertionError:  # it does not run at this moment
        return None
    return pid
