"""Airflow past one machine: workers of Celery, each a host of its own, killed and joining (`make test-celery`)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from chaos import until
from composed import Compose, docker, logger, service_of

from deposit.deploy.local.airflow_api import AirflowApi, now, wait_for_dag_run, wait_for_run
from deposit.progress import log_progress

pytestmark = [pytest.mark.celery, pytest.mark.timeout(2400)]
HEARTBEAT_TIMEOUT = 30
NEEDED = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-worker", "mlflow")
SETTINGS = {
    "COMPOSE_PROFILES": "celery",
    "AIRFLOW_EXECUTOR": "CeleryExecutor",
    "AIRFLOW_WORKERS": "2",
    "AIRFLOW_PARALLELISM": "3",
    "AIRFLOW_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
}


@pytest.fixture(scope="module")
def airflow(stack: Compose) -> Iterator[AirflowApi]:
    """The API of an Airflow with two workers, and what its tasks need: nothing serves."""
    with stack.settings(**SETTINGS):
        try:
            logger.info("healthy %.0f s after `up --wait` with two workers", stack.up(*NEEDED))
            with stack.airflow(stack.logins()["airflow"]["password"]) as api:
                yield api
        finally:
            stack.run("rm", "--force", "--stop", "airflow-worker", "redis")


def test_runs_at_once_share_the_workers_and_one_that_joins_late_takes_up_what_a_killed_one_had(
    stack: Compose, airflow: AirflowApi
) -> None:
    since = now()
    ingest = wait_for_dag_run(
        airflow, "deposit_ingest", airflow.trigger("deposit_ingest", {"source": "bundled"}), log_progress
    )
    assert ingest.state == "success"
    run = wait_for_run(airflow, "deposit_train", since)
    until(lambda: _hosts(airflow, "deposit_train", run, "train", "running") != [], 180)
    [killed] = _hosts(airflow, "deposit_train", run, "train")
    workers = _workers(stack)
    assert killed in workers

    # a worker takes one task at a time: another run's goes to the other
    missing = airflow.trigger("deposit_ingest", {"source": "file", "path": "inbox/none.csv"})
    until(lambda: _hosts(airflow, "deposit_ingest", missing, "locate") != [], 180)
    assert _hosts(airflow, "deposit_ingest", missing, "locate") == [next(host for host in workers if host != killed)]

    docker("kill", workers[killed])
    assert _hosts(airflow, "deposit_train", run, "train", "running") == [killed]
    lost = time.monotonic()
    # as machines that are gone
    docker("rm", "--force", *workers.values())
    stack.run("up", "--detach", "--no-deps", "--scale", "airflow-worker=1", "airflow-worker")
    [late] = _workers(stack)
    assert late not in workers
    train = wait_for_dag_run(airflow, "deposit_train", run, log_progress, timeout=1500)
    logger.info("ended %.0f s after its worker was killed", time.monotonic() - lost)
    assert train.state == "success"
    assert _hosts(airflow, "deposit_train", run, "train") == [killed, late]
    assert _hosts(airflow, "deposit_train", run, "select") == [late]
    assert wait_for_dag_run(airflow, "deposit_ingest", missing, log_progress).state == "failed"
    assert _hosts(airflow, "deposit_ingest", missing, "ingest")[-1] == late

    # who ran it is gone, or not the one who is asked
    assert "Filling up the DagBag" in _log(airflow, "deposit_train", run, "train", 1)
    assert "scoring each month" in _log(airflow, "deposit_train", run, "train", 2)
    assert "champion" in _log(airflow, "deposit_train", run, "select", 1)
    assert "none.csv" in _log(airflow, "deposit_ingest", missing, "ingest", 1)


def _workers(stack: Compose) -> dict[str, str]:
    """Ids of the workers' containers by the name of the host that Airflow knows each by."""
    workers = [each for each in stack.containers() if service_of(each) == "airflow-worker"]
    return {each["Config"]["Hostname"]: each["Id"] for each in workers}


def _hosts(api: AirflowApi, dag: str, run: str, task: str, state: str | None = None) -> list[str]:
    """The host of each try that has begun, or of those that are in a state."""
    path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/tries"
    tries: list[dict[str, Any]] = api.call("GET", path)["task_instances"]
    return [each["hostname"] for each in tries if each["hostname"] and state in (None, each["state"])]


def _log(api: AirflowApi, dag: str, run: str, task: str, number: int) -> str:
    path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{number}"
    return str(api.call("GET", path))
