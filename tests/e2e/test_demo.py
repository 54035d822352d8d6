import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from pasted import ROOT, paste

from deposit.data.columns import NAMES
from deposit.deploy.local.airflow_api import now, wait_for_dag_run, wait_for_run
from deposit.errors import UpstreamError
from deposit.progress import log_progress

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CUSTOMER = {
    "id": "c-1", "age": 35, "job": "student", "marital": "single", "education": "university.degree", "default": "no",
    "housing": "no", "loan": "no", "contact": "cellular", "month": "mar", "day_of_week": "tue", "campaign": 1,
    "pdays": 999, "previous": 0, "poutcome": "nonexistent", "emp.var.rate": -1.8, "cons.price.idx": 92.843,
    "cons.conf.idx": -50.0, "euribor3m": 1.5, "nr.employed": 5099.1,
}  # fmt: skip


def _demo(stack) -> str:
    return (Path(stack.environment["DEPOSIT_STATE_DIR"]) / "demo.txt").read_text()


def test_the_demo_tells_what_happened(stack) -> None:
    summary = _demo(stack)
    for words in (
        "41,188",
        "2008-05",
        "2010-11",
        "xgboost-tuned",
        "Worth",
        "deposit-v1",
        stack.url("airflow"),
        "curl -s",
    ):
        assert words in summary


def test_the_printed_curl_works_when_pasted(stack) -> None:
    line = next(line for line in _demo(stack).splitlines() if line.startswith("curl "))
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert re.search(r'"model":\s*"deposit-v1"', done.stdout)
    assert '"probability"' in done.stdout


def test_what_the_readme_gives_to_paste_ranks_the_example(stack, tmp_path: Path) -> None:
    printed = paste("README.md", "Rank your first list", stack.url("gateway"), tmp_path)
    assert "probability" in printed.splitlines()[0]
    assert len((tmp_path / "ranked.csv").read_text().splitlines()) == 61
    assert '"probability"' in paste("docs/api.md", "Ask it", stack.url("gateway"), tmp_path)


def test_the_readme_names_the_pages_that_answer(stack) -> None:
    readme = (ROOT / "README.md").read_text()
    for part, port in (("gateway", 8000), ("airflow", 8080), ("mlflow", 5000)):
        assert f"<http://127.0.0.1:{port}>" in readme
        login = stack.ui_login() if part == "mlflow" else None
        assert httpx.get(stack.url(part), auth=login, follow_redirects=True, trust_env=False, timeout=60).is_success, (
            part
        )


def test_mlflow_and_evidently_ask_for_the_login_that_the_demo_prints(stack) -> None:
    assert stack.ui_login()[1] in _demo(stack)
    for part, path in (
        ("mlflow", "/ajax-api/2.0/mlflow/experiments/search?max_results=1"),
        ("evidently", "/api/projects"),
    ):
        url = stack.url(part) + path
        assert httpx.get(url, trust_env=False, timeout=60).status_code == 401, part
        assert httpx.get(url, auth=stack.ui_login(), timeout=30, trust_env=False).is_success, part


def test_a_grafana_that_is_installed_is_started_and_the_demo_prints_its_login(stack) -> None:
    settings, url = stack.settings(), stack.url("grafana")
    login = settings["GRAFANA_ADMIN_USER"], settings["GRAFANA_ADMIN_PASSWORD"]
    assert " / ".join(login) in _demo(stack)
    assert url in _demo(stack)
    state = httpx.get(f"{url}/api/state", auth=login, trust_env=False, timeout=60).raise_for_status().json()
    assert (state["users"], len(state["dashboards"]), state["home"]) == (["reader"], 4, "Service")
    assert state["hooks"] == [stack.environment["DEPOSIT_MONITOR__WEBHOOK_URL"]]


def test_the_dataset_version_is_in_the_object_store(stack) -> None:
    settings = stack.settings()
    s3 = boto3.client(
        "s3",
        endpoint_url=settings["DEPOSIT_STORE__ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=settings["DEPOSIT_STORE__ACCESS_KEY"],
        aws_secret_access_key=settings["DEPOSIT_STORE__SECRET_KEY"],
    )  # fmt: skip
    listed = s3.list_objects_v2(Bucket="deposit-data", Prefix="datasets/")["Contents"]
    manifests = [item["Key"] for item in listed if item["Key"].endswith("manifest.json")]
    assert len(manifests) == 1
    assert len([item for item in listed if item["Key"].endswith(".parquet")]) == 26
    assert stack.sql("SELECT rows, rejected FROM datasets") == [(41188, 0)]


def test_mlflow_holds_the_champion_and_its_reasons(stack) -> None:
    with httpx.Client(base_url=stack.url("mlflow"), auth=stack.ui_login(), timeout=30, trust_env=False) as client:
        path = "/api/2.0/mlflow/registered-models/alias"
        answer = client.get(path, params={"name": "deposit", "alias": "champion"}).raise_for_status()
    version = answer.json()["model_version"]
    assert version["version"] == "1"
    assert {tag["key"] for tag in version["tags"]} >= {"deposit.dataset"}
    models = stack.json("models")
    assert [model["model_id"] for model in models] == ["deposit-v1"]
    assert 0.6 < models[0]["metrics"]["roc_auc"] < 0.78


def test_the_dag_has_trained_with_the_settings_of_the_shell(stack) -> None:
    url = f"{stack.url('mlflow')}/api/2.0/mlflow"
    with httpx.Client(base_url=url, auth=stack.ui_login(), timeout=30, trust_env=False) as client:

        def read(path: str, **params: str) -> dict[str, Any]:
            return client.get(path, params=params).raise_for_status().json()

        champion = read("/registered-models/alias", name="deposit", alias="champion")["model_version"]
        training = read("/runs/get", run_id=champion["run_id"])["run"]["data"]
    assert {"key": "trials", "value": stack.environment["DEPOSIT_TRAIN__TRIALS"]} in training["params"]


def test_predict_answers_in_order_and_refuses_duration(stack) -> None:
    with stack.api() as api:
        customers = [CUSTOMER | {"id": f"c-{n}", "age": 20 + n} for n in range(5)]
        answer = api.post("/predict", json={"customers": customers}).raise_for_status().json()
        assert answer["model"] == "deposit-v1"
        assert [item["id"] for item in answer["predictions"]] == [f"c-{n}" for n in range(5)]
        assert all(0 < item["probability"] < 1 for item in answer["predictions"])
        refused = api.post("/predict", json={"customers": [CUSTOMER, CUSTOMER | {"duration": 100}]})
    assert 400 <= refused.status_code < 500
    assert refused.json()["detail"][0]["row"] == 1
    assert refused.json()["detail"][0]["field"] == "duration"


def test_every_part_runs_and_listens_on_loopback_alone(stack) -> None:
    parts = stack.json("status")
    assert {part["state"] for part in parts} == {"running"}
    pids = {part["pid"] for part in parts}
    family = pids | {child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)}
    listening = {
        c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in family
    }
    assert listening <= {"127.0.0.1"}
    assert stack.run("doctor").returncode == 0


def test_the_dags_run_again_through_the_rest_api_and_change_nothing(stack) -> None:
    with stack.airflow() as api:
        since = now()
        ingested = wait_for_dag_run(
            api, "deposit_ingest", api.trigger("deposit_ingest", {"source": "bundled"}), log_progress
        )
        trained = wait_for_dag_run(api, "deposit_train", wait_for_run(api, "deposit_train", since), log_progress)
        released = wait_for_dag_run(api, "deposit_release", wait_for_run(api, "deposit_release", since), log_progress)
        assert [run.state for run in (ingested, trained, released)] == ["success"] * 3
        assert api.result("deposit_ingest", ingested.run, "ingest")["created"] is False
    assert [model["model_id"] for model in stack.json("models")] == ["deposit-v1"]
    assert stack.sql("SELECT count(*) FROM releases") == [(1,)]


def test_a_bad_file_fails_the_run_with_its_reason_and_publishes_nothing(stack, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("age;job\n1;2\n")
    command = stack.run("ingest", "--path", str(bad), check=False)
    assert command.returncode == 1
    lines = [line for line in command.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in command.stderr
    assert stack.sql("SELECT count(*) FROM datasets") == [(1,)]


def test_a_run_that_is_refused_fails_at_once(stack, tmp_path: Path) -> None:
    with stack.airflow() as api:
        with pytest.raises(UpstreamError, match="Airflow refused"):
            api.trigger("deposit_replay", {"from": "2008-13"})
        run = api.trigger("deposit_ingest", {"source": "file", "path": str(tmp_path / "none.csv")})
        assert wait_for_dag_run(api, "deposit_ingest", run, log_progress).state == "failed"
        tasks = api.call("GET", f"/api/v2/dags/deposit_ingest/dagRuns/{run}/taskInstances")["task_instances"]
        assert {task["task_id"]: task["try_number"] for task in tasks}["ingest"] == 1
        assert "none.csv" in api.log("deposit_ingest", run, "ingest")
    # somebody is called, and the step is among the others
    _eventually(lambda: [call["alerts"][0]["labels"]["run"] for call in stack.calls] == [run])
    assert stack.calls[0]["title"] == "DAG failed: deposit_ingest"
    assert "deposit_ingest failed in its task ingest" in stack.calls[0]["message"]
    [(reason, details)] = stack.sql("SELECT reason, details FROM events WHERE kind = 'failure'")
    assert reason == stack.calls[0]["message"]
    assert details == {"dag": "deposit_ingest", "run": run}


def _eventually(look: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_predictions_and_outcomes_reach_the_database(stack) -> None:
    with stack.api() as api:
        answer = api.post("/predict", json={"customers": [CUSTOMER]}).raise_for_status().json()
        prediction_id = answer["predictions"][0]["prediction_id"]
        statement = {"prediction_id": prediction_id, "subscribed": True, "at": "2026-01-02T03:04:05Z"}
        api.post("/outcomes", json={"outcomes": [statement]}).raise_for_status()
    predicted = f"SELECT model_id, customer_id, job FROM predictions WHERE prediction_id = '{prediction_id}'"
    _eventually(lambda: stack.sql(predicted) == [("deposit-v1", "c-1", "student")])
    stated = f"SELECT subscribed FROM current_outcomes WHERE prediction_id = '{prediction_id}'"
    _eventually(lambda: stack.sql(stated) == [(True,)])


def test_a_month_is_monitored_by_command_and_by_dag_alike_and_its_decay_acted_on(
    stack, real_rows: list[list[Any]]
) -> None:
    customers = [dict(zip(NAMES, row[:-1], strict=True)) for row in real_rows]
    with stack.api() as api:
        asked = {"headers": {"X-Event-Time": "2010-05-10T09:00:00Z"}, "json": {"customers": customers}}
        predictions = api.post("/predict", **asked).raise_for_status().json()["predictions"]
        outcomes = [
            {"prediction_id": each["prediction_id"], "subscribed": row[-1], "at": "2010-06-01T00:00:00Z"}
            for each, row in zip(predictions, real_rows, strict=True)
        ]
        api.post("/outcomes", json={"outcomes": outcomes}).raise_for_status()
    rows, stated = len(real_rows), "SELECT count(*) FROM outcomes WHERE at = '2010-06-01 00:00:00+00'"
    _eventually(lambda: stack.sql(stated) == [(rows,)])
    [month] = stack.json("monitor", "--period", "2010-05")
    assert [(model["model_id"], model["rows"]) for model in month["models"]] == [("deposit-v1", rows)]
    # rows of May 2008, when next to nobody subscribed: the model has learnt that the world is another by then
    assert month["models"][0]["verdict"] == "decay"
    kept = "SELECT name, \"column\", value, note FROM metrics WHERE period = '2010-05' ORDER BY 1, 2"
    by_command = stack.sql(kept)
    assert {"psi", "js", "roc_auc", "roc_auc_low", "ece", "profit", "verdict"} <= {row[0] for row in by_command}
    assert ("outcomes_known_share", "", 1.0, "") in by_command
    with stack.airflow() as api:
        since = now()
        run = wait_for_dag_run(
            api, "deposit_monitor", api.trigger("deposit_monitor", {"period": "2010-05"}), log_progress
        )
        trained = wait_for_dag_run(api, "deposit_train", wait_for_run(api, "deposit_train", since), log_progress)
    assert (run.state, run.tasks["alarm"], trained.state) == ("success", "success", "success")
    by_dag = stack.sql(kept)
    assert [(*row[:2], row[3]) for row in by_dag] == [(*row[:2], row[3]) for row in by_command]
    # BLAS sums in an order that depends on where an array lies
    assert [row[2] for row in by_dag] == pytest.approx([row[2] for row in by_command], rel=1e-12)
    # the decay has another model looked for, and says so; there was nothing new to learn from
    [(kind, model_id, why)] = stack.sql("SELECT kind, model_id, why FROM timeline WHERE kind = 'retraining'")
    assert (kind, model_id) == ("retraining", "deposit-v1")
    assert why.startswith("2010-05, seen on ")
    assert "The model has decayed" in why
    assert [model["model_id"] for model in stack.json("models")] == ["deposit-v1"]
    reports = [note for name, _, _, note in by_command if name == "report"]
    assert reports == ["s3://deposit-reports/monitoring/2010-05/deposit-v1.html"]
    by_evidently = {(name, column) for name, column, _, _ in by_command if name.startswith("evidently_")}
    figures = {("evidently_roc_auc", ""), ("evidently_drifted_columns_share", ""), ("evidently_drift", "age")}
    assert by_evidently >= figures
    with httpx.Client(base_url=stack.url("evidently"), auth=stack.ui_login(), timeout=30, trust_env=False) as evidently:
        [project] = evidently.get("/api/projects").raise_for_status().json()
        # twice written, once there
        [run] = evidently.get(f"/api/projects/{project['id']}/reports").raise_for_status().json()
    assert run["metadata"]["period"] == "2010-05"


def test_airflow_has_a_page_of_what_was_found_for_who_is_logged_in(stack) -> None:
    settings = stack.settings()
    login = {"username": settings["AIRFLOW_ADMIN_USER"], "password": settings["AIRFLOW_ADMIN_PASSWORD"]}
    paths = ("/deposit/", "/deposit/reports/2010-05/deposit-v1", "/deposit/cards/deposit-v1")
    with httpx.Client(base_url=stack.url("airflow"), timeout=30, trust_env=False) as client:
        assert [client.get(path).status_code for path in paths] == [401, 401, 401]
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        page, report, card = (client.get(path).raise_for_status() for path in paths)
        assert client.get("/deposit/reports/2009-01/deposit-v1").status_code == 404
        assert client.get("/deposit/cards/deposit-v9").status_code == 404
    for words in ("deposit-v1 is live", "The champion is <strong>deposit-v1</strong>", "<strong>Why:</strong> ",
                  "<strong>Worth</strong> in all months it was not trained on", "reports/2010-05/deposit-v1",
                  'href="cards/deposit-v1"', 'data-curve="roc_auc"', 'data-dag="deposit_train"'):  # fmt: skip
        assert words in page.text
    assert 'class="problem" role="alert">' not in page.text
    assert card.headers["content-security-policy"].endswith("; sandbox")
    with httpx.Client(base_url=stack.url("gateway"), timeout=30, trust_env=False) as api:
        assert api.get("/card").raise_for_status().content == card.content
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert len(report.content) > 100_000


def test_a_list_is_ranked_through_the_gateway_and_the_page_is_there(stack) -> None:
    head = ";".join(f'"{name}"' for name in CUSTOMER)
    row = ";".join(f'"{value}"' if isinstance(value, str) else str(value) for value in CUSTOMER.values())
    with stack.api() as api:
        upload = {"file": ("list.csv", f"{head}\n{row}\n{row}\n".encode(), "text/csv")}
        answer = api.post("/rank", files=upload, data={"capacity": "1"}).raise_for_status().json()
        page = api.get("/")
    assert [item["call"] for item in answer["ranked"]] == [True, False]
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("part", ["gateway", "mlflow", "objectstore", "releaser", "postgres"])
def test_a_killed_part_comes_back(stack, part: str) -> None:
    before = next(each["pid"] for each in stack.json("status") if each["name"] == part)
    psutil.Process(before).kill()
    stack.run("up")
    after = next(each for each in stack.json("status") if each["name"] == part)
    assert after["state"] == "running"
    assert after["pid"] != before
    with stack.api() as api:
        api.post("/predict", json={"customers": [CUSTOMER]}).raise_for_status()
