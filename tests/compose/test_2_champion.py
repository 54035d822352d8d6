import io
import json
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from chaos import Load, until
from composed import Compose, logger
from pasted import paste

from deposit.deploy.local.airflow_api import now, wait_for_dag_run, wait_for_run
from deposit.progress import log_progress

RATE, CLIENTS = 200, 4
CHAIN = ("deposit_ingest", "deposit_train", "deposit_release")


@pytest.fixture(scope="module")
def champion(compose: Compose, logins: dict[str, Any]) -> str:
    """The model that the chain of DAGs has brought to traffic, triggered by hand once."""
    started = time.monotonic()
    with compose.airflow(logins["airflow"]["password"]) as api:
        since = now()
        run = api.trigger(CHAIN[0], {"source": "bundled"})
        for dag in CHAIN:
            followed = wait_for_dag_run(
                api, dag, run if dag == CHAIN[0] else wait_for_run(api, dag, since), log_progress
            )
            assert followed.state == "success", {
                task: api.log(dag, followed.run, task)[-3000:]
                for task, state in followed.tasks.items()
                if state != "success"
            }
    logger.info("served %.0f s after the trigger", time.monotonic() - started)
    [(model_id,)] = compose.sql("SELECT model_id FROM releases WHERE state = 'live'")
    return str(model_id)


def test_the_dags_are_there_unpaused_and_no_examples(compose: Compose, champion: str, logins: dict[str, Any]) -> None:
    with compose.airflow(logins["airflow"]["password"]) as api:
        dags = {dag["dag_id"]: dag["is_paused"] for dag in api.call("GET", "/api/v2/dags")["dags"]}
        connections = {each["connection_id"] for each in api.call("GET", "/api/v2/connections")["connections"]}
        errors = api.call("GET", "/api/v2/importErrors")["import_errors"]
        plugins = api.call("GET", "/api/v2/plugins")["plugins"]
    assert set(CHAIN) <= set(dags)
    assert not any(dags.values())
    assert all(name.startswith("deposit_") for name in dags)
    assert {"deposit_store", "aws_default"} <= connections
    assert errors == []
    links = [view["href"] for plugin in plugins if plugin["name"] == "deposit" for view in plugin["external_views"]]
    named = ("DEPOSIT_STACK__GATEWAY", "DEPOSIT_STACK__MLFLOW", "GRAFANA", "STORE_CONSOLE")
    assert links == ["/deposit/", *(f"http://localhost:{compose.ports[name]}" for name in named)]


def test_the_gateway_serves_the_champion_to_those_with_a_key(
    compose: Compose, champion: str, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    body = {"customers": customers[:3]}
    with compose.api(None) as anybody, compose.api(logins["api"]["marketing"]) as marketing:
        assert anybody.post("/predict", json=body).status_code == 401
        answer = marketing.post("/predict", json=body).raise_for_status().json()
        assert marketing.get("/metrics").status_code == 403
        assert anybody.get("/metrics").status_code == 401
        page = anybody.get("/")
    assert answer["model"] == champion
    assert len(answer["predictions"]) == 3
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["x-content-type-options"] == "nosniff"


def test_what_the_readme_gives_to_paste_ranks_the_example(
    compose: Compose, champion: str, logins: dict[str, Any], tmp_path: Path
) -> None:
    gateway, key = compose.url("DEPOSIT_STACK__GATEWAY"), logins["api"]["marketing"]
    printed = paste("README.md", "Rank your first list", gateway, tmp_path, key)
    assert "probability" in printed.splitlines()[0]
    assert len((tmp_path / "ranked.csv").read_text().splitlines()) == 61
    assert champion in paste("docs/api.md", "Ask it", gateway, tmp_path, key)


def test_the_wrapper_runs_commands_in_the_stack(compose: Compose, champion: str, tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("age;job\n")
    assert champion in compose.wrapper("models", folder=tmp_path).stdout
    refused = compose.wrapper("ingest", "--source", "file", "--path", "calls.csv", folder=tmp_path, check=False)
    assert refused.returncode != 0
    assert "calls.csv" in refused.stderr
    assert "marital" in refused.stderr


def test_another_version_is_served_by_its_id(
    compose: Compose, champion: str, challenger: str, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    with compose.api(logins["api"]["marketing"]) as api:
        body = {"customers": customers[:1], "model": challenger}
        # the catalog is renewed every few seconds
        until(lambda: api.post("/predict", json=body).status_code == 200)
        assert api.post("/predict", json=body).json()["model"] == challenger


def test_what_was_asked_and_told_is_in_postgres(
    compose: Compose,
    champion: str,
    logins: dict[str, Any],
    customers: list[dict[str, Any]],
    stored: Callable[[list[str]], None],
) -> None:
    with compose.api(logins["api"]["marketing"]) as api:
        answer = api.post("/predict", json={"customers": customers[:5]}).raise_for_status().json()
        ids = [each["prediction_id"] for each in answer["predictions"]]
        statements = {"outcomes": [{"prediction_id": ids[0], "subscribed": True, "at": "2026-01-02T03:04:05Z"}]}
        api.post("/outcomes", json=statements).raise_for_status()
    stored(ids)
    rows = compose.sql(f"SELECT client, model_id FROM predictions WHERE prediction_id = '{ids[0]}'")
    assert rows == [("marketing", champion)]
    until(lambda: compose.sql(f"SELECT 1 FROM current_outcomes WHERE prediction_id = '{ids[0]}' AND subscribed") != [])


def test_task_logs_are_in_the_object_store_and_in_the_ui(
    compose: Compose, champion: str, logins: dict[str, Any]
) -> None:
    with compose.airflow(logins["airflow"]["password"]) as api:
        run = api.call("GET", "/api/v2/dags/deposit_ingest/dagRuns")["dag_runs"][0]["dag_run_id"]
        assert "dataset" in api.log("deposit_ingest", run, "ingest")
    listed = compose.run(
        "exec", "-T", "object-store", "find", "/data/deposit-logs", "-path", "*deposit_ingest*", "-name", "*.log*"
    ).stdout
    assert "task_id=ingest" in listed


@pytest.fixture(scope="module")
def challenger(compose: Compose, champion: str) -> str:
    """Another registered version: trained with another seed, whatever the gate thinks of it."""
    with compose.settings(DEPOSIT_TRAIN__SEED="11"):
        compose.command("train")
        compose.command("select")
    models = json.loads(compose.command("models", "--json").stdout)
    return str(next(model["model_id"] for model in models if model["model_id"] != champion))


def paced(compose: Compose, key: str, customers: list[dict[str, Any]]) -> Load:
    """About `RATE` requests a second."""
    return Load(compose.ports["DEPOSIT_STACK__GATEWAY"], customers, key, pause=CLIENTS / RATE)


def test_a_release_and_a_rollback_under_load_fail_no_request(
    compose: Compose,
    champion: str,
    challenger: str,
    logins: dict[str, Any],
    customers: list[dict[str, Any]],
    stored: Callable[[list[str]], None],
) -> None:
    before = compose.container("serving")["Id"]
    with paced(compose, logins["api"]["marketing"], customers) as load:
        load.until_more(100)
        compose.command("release", "--model", challenger)
        load.until_more(200)
        compose.command("rollback")
        load.until_more(200)
    assert load.broken == 0
    assert load.refused == []
    stored(load.answered)
    rows = compose.sql("SELECT kind, model_id, state FROM releases ORDER BY id DESC LIMIT 2")
    assert rows == [("rollback", champion, "live"), ("release", challenger, "retired")]
    [(switched,)] = compose.sql(
        "SELECT extract(epoch FROM updated_at - requested_at) FROM releases WHERE state = 'live'"
    )
    logger.info("live %.1f s after it was asked for", switched)
    served = {model for (model,) in compose.sql("SELECT DISTINCT model_id FROM predictions")}
    assert {champion, challenger} <= served
    compose.drained()
    assert compose.container("serving")["Id"] != before


def test_a_champion_that_answers_otherwise_than_in_training_gets_no_traffic(
    compose: Compose, champion: str, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    store = compose.store("pipeline", compose.vault()["store_pipeline"])
    [(uri,)] = compose.sql("SELECT bento_uri FROM releases WHERE state = 'live'")
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    bad = _with_other_parity(store.get_object(Bucket=bucket, Key=key)["Body"].read())
    store.put_object(Bucket=bucket, Key=f"{key}.bad", Body=bad)
    with paced(compose, logins["api"]["marketing"], customers) as load:
        release_id = compose.change(
            "INSERT INTO releases (kind, model_id, bento_tag, bento_uri, bento_sha256, state, target) "
            f"SELECT 'release', model_id, bento_tag, '{uri}.bad', '{sha256(bad).hexdigest()}', 'requested', target "
            "FROM releases WHERE state = 'live' RETURNING id"
        )
        until(lambda: compose.sql(f"SELECT state FROM releases WHERE id = {release_id}") == [("failed",)])
        load.until_more(50)
    [(reason,)] = compose.sql(f"SELECT reason FROM releases WHERE id = {release_id}")
    assert "parity" in reason
    assert load.broken == 0
    assert load.refused == []
    assert compose.sql("SELECT model_id FROM releases WHERE state = 'live'") == [(champion,)]


def _with_other_parity(archive: bytes) -> bytes:
    """The same Bento, whose record of the training process's probabilities says something else."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as old:
        members = [(member, file.read() if (file := old.extractfile(member)) else b"") for member in old]
    original = next(content for member, content in members if member.name.endswith("/parity.json"))
    parity = json.loads(original)
    lie = json.dumps({**parity, "probabilities": [1 - each for each in parity["probabilities"]]}).encode()
    digests = [sha256(each).hexdigest().encode() for each in (original, lie)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as new:
        for member, content in members:
            changed = lie if content == original else content.replace(*digests)
            member.size = len(changed)
            new.addfile(member, io.BytesIO(changed))
    return packed.getvalue()


def test_a_bento_that_was_changed_on_its_way_never_runs(
    compose: Compose, champion: str, logins: dict[str, Any], customers: list[dict[str, Any]]
) -> None:
    ask = (
        "INSERT INTO releases (kind, model_id, bento_tag, bento_uri, bento_sha256, state, target) "
        "SELECT 'release', 'deposit-v99', bento_tag, bento_uri, repeat('0', 64), 'requested', target "
        "FROM releases WHERE state = 'live' RETURNING id"
    )
    release_id = compose.change(ask)
    until(lambda: compose.sql(f"SELECT state FROM releases WHERE id = {release_id}") == [("failed",)])
    [(reason,)] = compose.sql(f"SELECT reason FROM releases WHERE id = {release_id}")
    assert "sha256" in reason
    with compose.api(logins["api"]["marketing"]) as api:
        assert api.post("/predict", json={"customers": customers[:1]}).raise_for_status().json()["model"] == champion


def test_the_pages_of_the_operators_answer(compose: Compose, champion: str, logins: dict[str, Any]) -> None:
    mlflow = (logins["mlflow"]["user"], logins["mlflow"]["password"])
    for name, login in {"DEPOSIT_STACK__AIRFLOW": None, "DEPOSIT_STACK__MLFLOW": mlflow, "STORE_CONSOLE": None}.items():
        answer = httpx.get(compose.url(name), auth=login, follow_redirects=True, trust_env=False, timeout=30)
        assert answer.status_code == 200, name
