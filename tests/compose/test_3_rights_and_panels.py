"""What each part's key opens, and what the dashboards show, on the stack that has served by now."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from composed import Compose
from grafana import DASHBOARDS, AlertRule, PanelQuery, alert_rules, defaults, expand, panel_queries
from sqlalchemy import URL
from sqlalchemy.exc import ProgrammingError

from deposit.deploy.local.airflow_api import wait_for_dag_run
from deposit.progress import log_progress

BUCKETS = {"deposit-data", "deposit-mlflow", "deposit-bentos", "deposit-reports", "deposit-logs"}
RIGHTS = {
    "pipeline": {"deposit-data", "deposit-bentos", "deposit-reports"},
    "mlflow": {"deposit-mlflow"},
    "airflow": {"deposit-logs"},
    "serving": set(),
}
"""Which buckets each key may write; services read models alone."""
GUARDED = {
    "DEPOSIT_STACK__GATEWAY": ("models", "metrics", "predict", "rank", "outcomes", "card"),
    "DEPOSIT_STACK__AIRFLOW": (
        "api/v2/dags",
        "api/v2/dags/deposit_train/dagRuns",
        "api/v2/connections",
        "api/v2/variables",
        "api/v2/config",
        "api/v2/eventLogs",
        "api/v2/assets",
        "api/v2/pools",
        "api/v2/importErrors",
        "api/v2/plugins",
        "api/v2/providers",
        "api/v2/jobs",
        "api/v2/dagSources/deposit_train",
        "ui/dags",
        "ui/config",
        "ui/dashboard/dag_stats",
        "deposit/",
        "deposit/reports/2010-05/deposit-v1",
        "deposit/cards/deposit-v1",
        "execution/variables/x",
    ),
    "DEPOSIT_STACK__MLFLOW": (
        "",
        "health",
        "version",
        "metrics",
        "graphql",
        "get-artifact",
        "model-versions/get-artifact",
        "api/2.0/mlflow/experiments/search?max_results=9",
        "api/2.0/mlflow/registered-models/search",
        "api/2.0/mlflow/registered-models/alias?name=deposit&alias=champion",
        "api/2.0/mlflow/model-versions/search",
        "api/2.0/mlflow-artifacts/artifacts",
        "ajax-api/2.0/mlflow/experiments/search?max_results=9",
        "ajax-api/2.0/mlflow/registered-models/search",
    ),
    "DEPOSIT_STACK__EVIDENTLY": ("", "api/projects", "api/version", "projects", "static/index.html"),
    "DEPOSIT_STACK__STORE": ("", *sorted(BUCKETS), "deposit-data?list-type=2", "deposit-data?policy"),
}
"""Paths that hold data, by the port of what is published beyond this machine."""
REFUSALS = {401, 403, 405}


@pytest.fixture(scope="module")
def vault(compose: Compose) -> dict[str, str]:
    return compose.vault()


def _refused(call: str, compose: Compose, vault: dict[str, str], user: str, **given: str) -> bool:
    try:
        getattr(compose.store(user, vault[f"store_{user}"]), call)(**given)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


@pytest.mark.parametrize("user", RIGHTS)
def test_a_key_opens_its_buckets_alone(compose: Compose, vault: dict[str, str], user: str) -> None:
    for bucket in BUCKETS:
        own = bucket in RIGHTS[user]
        assert _refused("put_object", compose, vault, user, Bucket=bucket, Key="probe", Body="x") != own, bucket
        assert _refused("list_objects_v2", compose, vault, user, Bucket=bucket) != own, bucket
    assert _refused("create_bucket", compose, vault, user, Bucket="another")


@pytest.mark.parametrize("part", GUARDED)
def test_what_may_be_published_answers_nothing_without_a_login(compose: Compose, part: str) -> None:
    with httpx.Client(base_url=compose.url(part), timeout=30, trust_env=False) as client:
        answered = {path: client.get(f"/{path}").status_code for path in GUARDED[part]}
    assert {path: status for path, status in answered.items() if status not in REFUSALS} == {}


def test_a_service_reads_models_and_nothing_else(compose: Compose, vault: dict[str, str]) -> None:
    mlflow = compose.store("mlflow", vault["store_mlflow"])
    model = mlflow.list_objects_v2(Bucket="deposit-mlflow")["Contents"][0]["Key"]
    assert not _refused("get_object", compose, vault, "serving", Bucket="deposit-mlflow", Key=model)
    for bucket, user in (("deposit-data", "pipeline"), ("deposit-logs", "airflow")):
        key = compose.store(user, vault[f"store_{user}"]).list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
        assert _refused("get_object", compose, vault, "serving", Bucket=bucket, Key=key)


def test_a_month_is_monitored(compose: Compose, logins: dict[str, Any]) -> None:
    month = f"{datetime.now(UTC):%Y-%m}"
    with compose.airflow(logins["airflow"]["password"]) as api:
        run = wait_for_dag_run(api, "deposit_monitor", api.trigger("deposit_monitor", {"period": month}), log_progress)
        assert run.state == "success", api.log("deposit_monitor", run.run, "monitor")[-3000:]
    served = set(compose.sql("SELECT DISTINCT model_id FROM predictions"))
    judged = compose.sql(f"SELECT scope, note FROM metrics WHERE period = '{month}' AND name = 'verdict'")
    assert {(model_id,) for model_id, _ in judged} == served
    assert all(note for _, note in judged)
    password = logins["airflow"]["password"]
    page = compose.airflow_page(password, "/deposit/")
    assert all(f"reports/{month}/{model_id}" in page for (model_id,) in served)
    assert "The champion is " in page
    assert len(compose.airflow_page(password, f"/deposit/reports/{month}/{judged[0][0]}")) > 100_000


@pytest.mark.parametrize("alert", alert_rules(), ids=lambda alert: alert.title)
def test_an_alert_may_be_asked_for_by_who_asks(compose: Compose, vault: dict[str, str], alert: AlertRule) -> None:
    rows = compose.sql(alert.query["model"]["rawSql"], _role(compose, vault, "reader"))
    if alert.title in ("Spool age", "Shipper stopped"):
        [(seconds,)] = rows
        assert not alert.fires(seconds)


def _role(compose: Compose, vault: dict[str, str], role: str) -> str:
    url = URL.create("postgresql", role, vault[f"postgres_{role}"], "postgres", 5432, "deposit")
    return compose.reachable(url.render_as_string(hide_password=False))


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("reader", "DELETE FROM predictions"),
        ("reader", "UPDATE releases SET state = 'requested'"),
        ("reader", "CREATE TABLE mine (x int)"),
        ("writer", "DELETE FROM predictions"),
        ("writer", "UPDATE releases SET state = 'requested'"),
        ("writer", "SELECT * FROM pg_authid"),
    ],
)
def test_a_role_may_not(compose: Compose, vault: dict[str, str], role: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied"):
        compose.sql(statement, _role(compose, vault, role))


EMPTY_AT_FIRST = {"too few outcomes", "no day over yet"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param(path, query, id=f"{path.stem}: {query.title}")
        for path in DASHBOARDS
        for query in panel_queries(path)
    ],
)
def test_a_panel_shows_what_has_happened(
    compose: Compose, vault: dict[str, str], path: Path, query: PanelQuery
) -> None:
    now = datetime.now(UTC)
    shown = timedelta(days=3 * 365) if path.stem in ("data", "model") else timedelta(hours=6)
    sql = expand(query.sql, now - shown, now + timedelta(minutes=1), defaults(path))
    rows = compose.sql(sql, _role(compose, vault, "reader"))
    # a handful of requests has few outcomes, from which nobody may judge a model, and no day of it is over
    assert rows or query.panel["fieldConfig"]["defaults"].get("noValue") in EMPTY_AT_FIRST or path.stem == "model"
