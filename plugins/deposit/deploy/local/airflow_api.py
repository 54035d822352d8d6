"""A client of Airflow's REST API: trigger a DAG, follow its runs, read a task's log."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from deposit.errors import DepositError, UpstreamError
from deposit.progress import Progress

FINISHED = {"success", "failed"}


class AirflowApi:
    """Airflow's REST API v2, as one user; a context manager. Raises UpstreamError if it does not answer or refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._login = {"username": user, "password": password}

    def __enter__(self) -> "AirflowApi":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request, logging in when needed; returns the JSON answer."""
        try:
            answer = self._http.request(method, path, **arguments)
            if answer.status_code == 401:
                self._authorise()
                answer = self._http.request(method, path, **arguments)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise UpstreamError(f"Airflow refused {method} {path}: {error.response.text[:300]}") from error
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"Airflow does not answer at {self._http.base_url}: {error}; run `deposit up`"
            ) from error
        return answer.json()

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of a DAG and return its id; waits until Airflow knows the DAG."""
        deadline = time.monotonic() + 90
        while True:
            try:
                self.call("GET", f"/api/v2/dags/{dag}")
                break
            except UpstreamError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        body = {"conf": conf or {}, "logical_date": None}
        run: str = self.call("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)["dag_run_id"]
        return run

    def newest_run(self, dag: str, since: datetime) -> str | None:
        """The newest run of a DAG that was made after a moment, or None."""
        query = {"order_by": "-run_after", "limit": 1, "run_after_gte": since.isoformat()}
        runs = self.call("GET", f"/api/v2/dags/{dag}/dagRuns", params=query)["dag_runs"]
        return runs[0]["dag_run_id"] if runs else None

    def state(self, dag: str, run: str) -> str:
        """A run's state."""
        state: str = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"]
        return state

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """The state of every task of a run."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] or "none" for task in found}

    def result(self, dag: str, run: str, task: str) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", path, params={"deserialize": True})["value"]

    def log(self, dag: str, run: str, task: str) -> str:
        """The text of a task's newest try."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        tries = self.call("GET", path)["try_number"]
        content = self.call("GET", f"{path}/logs/{max(tries, 1)}", headers={"Accept": "application/json"})["content"]
        return "\n".join(str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in content)

    def _authorise(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


@dataclass(frozen=True)
class DagRunResult:
    """A run that was followed to its end."""

    dag: str
    run: str
    state: str
    tasks: dict[str, str]


def wait_for_dag_run(api: AirflowApi, dag: str, run: str, progress: Progress, timeout: float = 600) -> DagRunResult:
    """Tell of each task's states until the run ends. Raises DepositError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    told: dict[str, str] = {}
    while time.monotonic() < deadline:
        state = api.state(dag, run)
        tasks = api.tasks(dag, run)
        for task, now in tasks.items():
            if told.get(task) != now and now not in ("none", "scheduled", "queued"):
                progress(f"{dag}.{task}: {now}")
                told[task] = now
        if state in FINISHED:
            return DagRunResult(dag, run, state, tasks)
        time.sleep(0.5)
    raise DepositError(f"{dag} has not ended after {timeout:.0f} s: look at it in the Airflow UI")


def wait_for_run(api: AirflowApi, dag: str, since: datetime, timeout: float = 60) -> str:
    """The run that an asset's event starts. Raises DepositError if none comes."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        run = api.newest_run(dag, since)
        if run:
            return run
        time.sleep(0.5)
    raise DepositError(f"no run of {dag} has begun within {timeout:.0f} s: look at the scheduler's log")


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)
