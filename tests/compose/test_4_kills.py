import time
from collections.abc import Callable
from typing import Any

import pytest
from chaos import Load
from composed import Compose, logger

WITHIN = 120
AIRFLOW = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
ALONE = ("shipper", "postgres", "object-store", "mlflow", "releaser", "serving", "gateway")
PARTS = (*((part,) for part in ALONE), AIRFLOW)
"""Those of Airflow die together: each takes long to start, mostly waiting."""


@pytest.mark.parametrize("parts", PARTS, ids=" ".join)
def test_a_part_killed_under_load_comes_back_and_nothing_answered_is_lost(
    compose: Compose,
    logins: dict[str, Any],
    customers: list[dict[str, Any]],
    stored: Callable[[list[str]], None],
    parts: tuple[str, ...],
) -> None:
    before = {part: _pid(compose, part) for part in parts}
    assert None not in before.values()
    port = compose.ports["DEPOSIT_STACK__GATEWAY"]
    with Load(port, customers, logins["api"]["marketing"], pause=0.05) as load:
        load.until_more(20)
        for part in parts:
            compose.kill(part)
        killed = time.monotonic()
        while not (all(_pid(compose, part) not in (None, before[part]) for part in parts) and compose.healthy()):
            assert time.monotonic() < killed + WITHIN, compose.run("ps", "--all").stdout
            time.sleep(0.5)
        logger.info("%s: healthy %.0f s after SIGKILL", " ".join(parts), time.monotonic() - killed)
        load.until_more(20)
    if not {"gateway", "serving"} & set(parts):
        assert load.broken == 0
        assert load.refused == []
    stored(load.answered)


def _pid(compose: Compose, part: str) -> int | None:
    try:
        pid: int = compose.container(part)["State"]["Pid"]
    except AssertionError:  # it does not run at this moment
        return None
    return pid
