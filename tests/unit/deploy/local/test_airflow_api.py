"""Following a DAG's runs, with a stand-in for Airflow that answers what it is told to."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from deposit.deploy.local.airflow_api import AirflowApi, wait_for_dag_run, wait_for_run
from deposit.errors import DepositError, UpstreamError
from deposit.progress import log_progress

SINCE = datetime(2026, 11, 30, tzinfo=UTC)


class Airflow:
    """Answers in turn: the newest run, whether one is under way, a run's tasks (None: no answer)."""

    def __init__(
        self, runs: Sequence[str | None], busy: Sequence[bool], tasks: Sequence[dict[str, str] | None]
    ) -> None:
        self.runs, self.busy, self._tasks = iter(runs), iter(busy), iter(tasks)

    def newest_run(self, _dag: str, since: datetime) -> str | None:
        assert since == SINCE
        return next(self.runs)

    def is_busy(self, _dag: str) -> bool:
        return next(self.busy)

    def tasks(self, _dag: str, _run: str) -> dict[str, str]:
        tasks = next(self._tasks)
        if tasks is None:
            raise UpstreamError("it does not answer")
        return tasks

    def state(self, _dag: str, _run: str) -> str:
        return "success"


def api(
    runs: Sequence[str | None] = (), busy: Sequence[bool] = (), tasks: Sequence[dict[str, str] | None] = ()
) -> AirflowApi:
    return cast(AirflowApi, Airflow(runs, busy, tasks))


def test_a_run_that_waits_for_the_one_under_way_is_waited_for() -> None:
    airflow = api(runs=[None, None, "run"], busy=[True, True, False])
    assert wait_for_run(airflow, "deposit_train", SINCE, timeout=0) == "run"


def test_no_run_is_an_error_once_none_is_under_way() -> None:
    airflow = api(runs=[None, None], busy=[True, False])
    with pytest.raises(DepositError, match="no run of deposit_train has begun"):
        wait_for_run(airflow, "deposit_train", SINCE, timeout=0)


def test_a_run_is_followed_though_airflow_does_not_answer_for_a_while() -> None:
    airflow = api(tasks=[None, {"train": "running"}, None, {"train": "success"}])
    assert wait_for_dag_run(airflow, "deposit_train", "run", log_progress).tasks == {"train": "success"}


def test_a_run_of_a_stack_that_was_stopped_is_not_waited_for() -> None:
    up = iter([True, False])
    airflow = api(tasks=[None, {"train": "running"}, None, {"train": "success"}])
    with pytest.raises(DepositError, match="the stack was stopped before deposit_train ended"):
        wait_for_dag_run(airflow, "deposit_train", "run", log_progress, may_come_back=lambda: next(up))
