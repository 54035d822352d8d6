"""`make demo`: run the real DAGs on the real data until a champion is served, and print a summary."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from threading import Thread

import httpx

from deposit import console
from deposit.deploy.layout import Layout
from deposit.deploy.local import lifecycle, supervision
from deposit.deploy.local.airflow_api import AirflowApi, DagRunResult, now, wait_for_dag_run, wait_for_run
from deposit.errors import DepositError, ReleaseError
from deposit.progress import Progress
from deposit.registry.versions import RegisteredVersions
from deposit.release import requests
from deposit.release.gateway import trust
from deposit.sections import GatewaySettings
from deposit.settings import Settings, load_settings

CUSTOMER = {
    "id": "example", "age": 41, "job": "admin.", "marital": "married", "education": "university.degree",
    "default": "no", "housing": "yes", "loan": "no", "contact": "cellular", "month": "nov", "day_of_week": "mon",
    "campaign": 1, "pdays": 6, "previous": 1, "poutcome": "success", "emp.var.rate": -1.1, "cons.price.idx": 94.767,
    "cons.conf.idx": -50.8, "euribor3m": 1.031, "nr.employed": 4963.6,
}  # fmt: skip


_PATIENCE = 3600
"""Timeout of one DAG run in seconds: a training run of two minutes takes twenty on a machine under tenfold load."""


def run(settings: Settings) -> None:
    """Start the stack, run ingest → train → select → release in Airflow, and print a summary.

    `settings` are those of the environment only, as for `lifecycle.up`.
    Raises DepositError naming the task that failed, with the end of its log.
    """
    began = time.monotonic()
    # while Airflow does not answer, urllib3 would log every retry
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    chosen = settings
    with console.progress() as progress:
        lifecycle.begin(chosen, progress)
        settings = load_settings()
        with _airflow(lifecycle.environment(settings), settings.stack.airflow_port) as airflow:
            is_up = partial(supervision.running, Layout(settings.state.root))
            ingested, trained = _chain(airflow, settings.ingest.source, progress, is_up)
        lifecycle.settle(progress)
    _summary(settings, ingested, trained)
    console.out.print(
        f"\nDone in {time.monotonic() - began:.0f} s. `make stop` stops it; the data stays for the next start."
    )


def _chain(
    api: AirflowApi, source: str, progress: Progress, is_up: Callable[[], bool]
) -> tuple[dict[str, object], str]:
    """Run the three DAGs, each started by an asset of the previous one; returns the ingest result and training run."""
    follow = partial(_followed, api, progress, is_up)
    since = now()
    run = api.trigger("deposit_ingest", {"source": source})
    ingest = follow("deposit_ingest", run)
    train = follow("deposit_train", wait_for_run(api, "deposit_train", since))
    # the summary's imports take seconds: do them now, while the release leaves a processor idle
    Thread(target=import_module, args=("deposit.loop",), daemon=True).start()
    if train.tasks["select"] == "success":
        follow("deposit_release", wait_for_run(api, "deposit_release", since))
    return api.result("deposit_ingest", ingest.run, "ingest"), api.result("deposit_train", train.run, "train")


def _followed(api: AirflowApi, progress: Progress, is_up: Callable[[], bool], dag: str, run: str) -> DagRunResult:
    result = wait_for_dag_run(api, dag, run, progress, _PATIENCE, is_up)
    if result.state == "success":
        return result
    broken = next(task for task, state in result.tasks.items() if state == "failed")
    end = "\n".join(api.log(result.dag, result.run, broken).splitlines()[-15:])
    raise DepositError(f"{result.dag}.{broken} failed; the end of its log:\n{end}")


def _airflow(login: Mapping[str, str], port: int) -> AirflowApi:
    return AirflowApi(f"http://127.0.0.1:{port}", login["AIRFLOW_ADMIN_USER"], login["AIRFLOW_ADMIN_PASSWORD"])


def _summary(settings: Settings, ingested: dict[str, object], training_run: str) -> None:
    from deposit.loop import challenge  # imported already, by `_chain`
    from deposit.selection.report import print_selection, print_training, print_worth
    from deposit.training.training import recorded

    out = console.out
    out.print(
        f"\n[bold]Ingested[/] {ingested['rows']:,} calls, {ingested['first_period']} to {ingested['last_period']}, "
        f"{ingested['rejected']} rejected, as dataset {ingested['version']}"
        + ("" if ingested["created"] else " (already there)")
    )
    trained = recorded(settings.mlflow.tracking_uri, training_run)
    print_training(trained)
    # idempotent: returns the decision that the DAG's task recorded
    print_selection(challenge(settings, training_run))
    print_worth(trained)
    url, verify = settings.gateway_url, trust(settings.gateway, settings.state)
    with httpx.Client(base_url=url, timeout=10, trust_env=False, verify=verify) as client:
        _served(settings, client)
        print_logins(settings, lifecycle.status(settings))
        _curl(settings.gateway, client)


def _served(settings: Settings, client: httpx.Client) -> None:
    champion = RegisteredVersions(settings).champion()
    live = requests.live(settings.database)
    if live is None:
        raise ReleaseError(f"no model is served: see `deposit status` and {settings.state.logs}")
    answer = client.get("/models").raise_for_status()
    console.out.print(
        f"\n[bold]Served[/] {requests.describe(live)}, behind {settings.gateway_url}; "
        f"GET /models answers {answer.status_code}"
    )
    if champion is not None and champion.model_id != live.model_id:
        # someone rolled back or released another model manually: do not override that
        console.out.print(f"The champion is {champion.model_id}; `deposit release` deploys it.")


def print_logins(settings: Settings, parts: list[lifecycle.ServiceStatus]) -> None:
    """Print the URL, user and password of each service. Raises ConfigError if there is no stack."""
    login = lifecycle.environment(settings)
    uis = f"{login['MLFLOW_TRACKING_USERNAME']} / {login['MLFLOW_TRACKING_PASSWORD']}"
    logins = {
        "airflow-api-server": f"{login['AIRFLOW_ADMIN_USER']} / {login['AIRFLOW_ADMIN_PASSWORD']}",
        "mlflow": uis,
        "evidently": uis,
        "grafana": f"{login['GRAFANA_ADMIN_USER']} / {login['GRAFANA_ADMIN_PASSWORD']}",
    }
    rows = [[part.what, part.url, logins.get(part.name)] for part in parts if part.url]
    console.out.print()
    console.table("Where to look", ["what", "url", "login"], rows)
    console.out.print(lifecycle.dashboards(settings.stack, Layout(settings.state.root), parts))


def _curl(gateway: GatewaySettings, client: httpx.Client) -> None:
    body = json.dumps({"customers": [CUSTOMER]})
    console.out.print("\n[bold]Ask it[/]")
    # written without rich: wrapped or marked up, it would not work when pasted
    curl = "curl -s" if gateway.tls == "off" else "curl -sk"
    url = client.base_url.join("/predict")
    console.out.file.write(f"{curl} {url} -H 'Content-Type: application/json' -d '{body}'\n")
    answer = client.post("/predict", json={"customers": [CUSTOMER]})
    console.out.file.write(f"{answer.raise_for_status().text}\n")
