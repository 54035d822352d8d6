"""Client of Airflow's REST API: trigger DAGs, follow their runs, read task logs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
from urllib3.exceptions import HTTPError

from deposit.errors import DepositError, UpstreamError
from deposit.progress import Progress
from deposit.waiting import retry_while_down, wait_until

FINISHED = {"success", "failed"}
_TASK_FINISHED = FINISHED | {"skipped", "upstream_failed", "removed"}
_SECONDS = 30
"""Timeout of one request."""
_BUSY_SECONDS = 300
"""How long requests may fail while a run is followed."""
_DAG_SECONDS = 90
"""How long a new stack may take to parse its DAG files."""
T = TypeVar("T")


class AirflowApi:
    """Airflow's REST API v2, as one user; a context manager. Raises UpstreamError if it does not answer or refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        from airflow_client import client  # its generated models take more than a second to import

        # a server on this machine: bypass the environment's proxies
        self._client: Any = client.ApiClient(client.Configuration(host=url, proxy=""))
        self._dags, self._runs = client.DAGApi(self._client), client.DagRunApi(self._client)
        self._tasks, self._results = client.TaskInstanceApi(self._client), client.XComApi(self._client)
        self._url = url
        self._login = {"username": user, "password": password}

    def __enter__(self) -> "AirflowApi":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.rest_client.pool_manager.clear()

    def call(self, method: str, path: str) -> Any:
        """Send a request that no other method covers; returns the JSON response."""

        def request(_request_timeout: float) -> Any:
            response = self._client.call_api(
                *self._client.param_serialize(method, path), _request_timeout=_request_timeout
            )
            response.read()
            return self._client.response_deserialize(response, {"2XX": "object"}).data

        return self._answer(request)

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a DAG and return the id of its run; waits until Airflow has parsed the DAG."""
        from airflow_client.client import TriggerDAGRunPostBody

        retry_while_down(lambda: self._answer(self._dags.get_dag, dag), _DAG_SECONDS, pause=1)
        body = TriggerDAGRunPostBody(conf=conf or {}, logical_date=None)
        run: str = self._answer(self._runs.trigger_dag_run, dag, body).dag_run_id
        return run

    def newest_run(self, dag: str, since: datetime) -> str | None:
        """The id of a DAG's newest run, if it was queued at `since` or later."""
        # its `run_after` may be earlier: asset events wait for the end of the active run
        runs = self._answer(self._runs.get_dag_runs, dag, order_by=["-id"], limit=1).dag_runs
        return runs[0].dag_run_id if runs and runs[0].queued_at and runs[0].queued_at >= since else None

    def is_busy(self, dag: str) -> bool:
        """Whether a run of a DAG is queued or running; until it ends, asset events start no other run."""
        return bool(self._answer(self._runs.get_dag_runs, dag, limit=1, state=["queued", "running"]).dag_runs)

    def state(self, dag: str, run: str) -> str:
        """A run's state."""
        return str(self._answer(self._runs.get_dag_run, dag, run).state.value)

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """The state of every task of a run."""
        tasks = self._answer(self._tasks.get_task_instances, dag, run).task_instances
        return {task.task_id: task.state.value if task.state else "none" for task in tasks}

    def result(self, dag: str, run: str, task: str) -> Any:
        """The return value of a task."""
        entry: Any = self._answer(self._results.get_xcom_entry, dag, task, run, "return_value", deserialize=True)
        return entry.actual_instance.value

    def log(self, dag: str, run: str, task: str) -> str:
        """The log of a task's last try."""
        tries = self._answer(self._tasks.get_task_instance, dag, run, task).try_number
        log: Any = self._answer(self._tasks.get_log, dag, run, task, max(tries, 1), accept="application/json")
        return "\n".join(line if isinstance(line, str) else line.event for line in log.content.actual_instance)

    def _answer(self, request: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Send a request, log in and repeat it if it was unauthorised, and return the response."""
        from airflow_client.client.exceptions import ApiException, UnauthorizedException

        try:
            try:
                return request(*arguments, **named, _request_timeout=_SECONDS)
            except UnauthorizedException:
                self._authorise()
                return request(*arguments, **named, _request_timeout=_SECONDS)
        except ApiException as error:
            reason = str(error.body or error.reason)[:300]
            raise UpstreamError(f"Airflow refused a request at {self._url}: {reason}") from error
        except HTTPError as error:
            raise self._outage(error) from error

    def _outage(self, error: Exception) -> UpstreamError:
        return UpstreamError(f"Airflow does not answer at {self._url} ({type(error).__name__}): run `deposit up`")

    def _authorise(self) -> None:
        try:
            answer = httpx.post(f"{self._url}/auth/token", json=self._login, timeout=_SECONDS, trust_env=False)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise UpstreamError(
                f"Airflow at {self._url} refuses the login of {self._login['username']} (HTTP {answer.status_code})"
            ) from error
        except httpx.HTTPError as error:
            raise self._outage(error) from error
        self._client.set_default_header("Authorization", f"Bearer {answer.json()['access_token']}")


@dataclass(frozen=True)
class DagRunResult:
    """The state of a DAG run and of its tasks."""

    dag: str
    run: str
    state: str
    tasks: dict[str, str]


def wait_for_dag_run(
    api: AirflowApi,
    dag: str,
    run: str,
    progress: Progress,
    timeout: float = 600,
    may_come_back: Callable[[], bool] = lambda: True,
) -> DagRunResult:
    """Follow a run until it ends, and report the states of its tasks. Raises DepositError after `timeout` seconds.

    Airflow may be too busy with the run to answer for a while. If it does not answer and `may_come_back` returns False,
    DepositError is raised at once.
    """
    reported: dict[str, str] = {}

    def look() -> DagRunResult:
        tasks = _tasks(api, dag, run, may_come_back)
        for task, state in tasks.items():
            if reported.get(task) != state and state not in ("none", "scheduled", "queued"):
                progress(f"{dag}.{task}: {state}")
                reported[task] = state
        # fewer requests: each takes processor time from the run itself
        may_have_ended = all(state in _TASK_FINISHED for state in tasks.values())
        return DagRunResult(dag, run, api.state(dag, run) if may_have_ended else "running", tasks)

    result = wait_until(
        lambda: retry_while_down(look, _BUSY_SECONDS), timeout, 1.0, lambda result: result.state in FINISHED
    )
    if result.state not in FINISHED:
        raise DepositError(f"{dag} has not ended after {timeout:.0f} s: look at it in the Airflow UI")
    return result


def _tasks(api: AirflowApi, dag: str, run: str, may_come_back: Callable[[], bool]) -> dict[str, str]:
    try:
        return api.tasks(dag, run)
    except UpstreamError as error:
        if may_come_back():
            raise
        raise DepositError(f"the stack was stopped before {dag} ended: start again, finished work is kept") from error


def wait_for_run(api: AirflowApi, dag: str, since: datetime, timeout: float = 60) -> str:
    """Wait for a run that an asset event starts. Raises DepositError if none starts in time and no other is active."""
    busy = True
    while busy:
        busy = api.is_busy(dag)
        run = wait_until(lambda: api.newest_run(dag, since), timeout, 0.5)
        if run is not None:
            return run
    raise DepositError(f"no run of {dag} has begun within {timeout:.0f} s: look at the scheduler's log")


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
