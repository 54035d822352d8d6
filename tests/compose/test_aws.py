"""The stack with Docker in front of AWS, as `.env.aws.example` has it (`make test-compose-aws`); AWS is simulated.

The tests run in their order, on one stack: each goes on where the one before ended.
"""

import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from account import HOST, Account, Database
from chaos import until
from composed import PROJECT, ROOT, Compose, docker, logger, service_of
from rendering import render
from simulated_aws.server import REGION, running

from deposit.deploy.local.airflow_api import now, wait_for_dag_run, wait_for_run
from deposit.progress import log_progress

pytestmark = [pytest.mark.aws, pytest.mark.timeout(2400)]
CHAIN = ("deposit_ingest", "deposit_train", "deposit_release")
FILES = ("docker-compose.yml", "docker-compose.aws.yml")
BUCKETS = {use: f"deposit-{secrets.token_hex(4)}-{use}" for use in ("data", "mlflow", "bentos", "reports", "logs")}


def filled(example: str, values: dict[str, str]) -> str:
    """`.env.aws.example` with some of its lines filled in, or taken out of their comment."""
    for name, value in values.items():
        example, count = re.subn(rf"^#?{name}=.*$", f"{name}={value}", example, flags=re.MULTILINE)
        assert count == 1, name
    return example


@pytest.fixture(scope="module")
def account(free_ports: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An AWS without buckets and an empty database, at an address that containers reach."""
    folder, first = tmp_path_factory.mktemp("account"), free_ports(2)
    here = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    database = Database(here, first + 1, folder)
    with running(first, folder / "moto.log", here) as aws:
        try:
            database.start()
            account = Account(aws, database, folder)
            account.write_secrets()
            yield account
        finally:
            database.remove()


@pytest.fixture(scope="module")
def clone(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git has of the repository, the bundle of RDS, and a `.env` as a person makes it."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.strip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(account.database.bundle, folder / "docker" / "authorities" / "rds.pem")
    chosen = {f"DEPOSIT_STORE__{use.upper()}_BUCKET": bucket for use, bucket in BUCKETS.items()}
    chosen |= {"IMAGES": PROJECT, "DEPOSIT_STORE__REGION": REGION} | account.write_profile()
    named = render(tmp_path_factory.mktemp("names"), FILES, chosen)
    # what AWS's servers of names would tell the parts
    lines = [
        f'  {name}: {{ extra_hosts: ["{HOST}:{account.database.address}"] }}\n'
        for name, part in named.items()
        if part.get("networks")
    ]
    (folder / "names.yml").write_text(f"services:\n{''.join(lines)}")
    chosen["COMPOSE_FILE"] = ":".join((*FILES, "names.yml"))
    (folder / ".env").write_text(filled((folder / ".env.aws.example").read_text(), chosen))
    return folder


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, free_ports: Callable[[int], int], clone: Path) -> Iterator[Compose]:
    """The stack of that clone, its images built, nothing started."""
    first = free_ports(4)
    names = ("DEPOSIT_STACK__GATEWAY", "DEPOSIT_STACK__AIRFLOW", "DEPOSIT_STACK__MLFLOW", "GRAFANA")
    ports = {name: first + place for place, name in enumerate(names)}
    stack = Compose(request.config.getoption("compose"), ports, clone)
    with stack.built(request.config.getoption("keep_stack"), 2400):
        yield stack


@pytest.fixture(scope="module")
def compose(stack: Compose) -> Compose:
    """The stack, healthy, before anything has been released."""
    logger.info("healthy %.0f s after `up --wait`", stack.up())
    return stack


@pytest.fixture(scope="module")
def logins(compose: Compose) -> dict[str, Any]:
    """What `make credentials` prints."""
    return compose.logins()


@pytest.fixture(scope="module")
def ids(compose: Compose, champion: str, logins: dict[str, Any], customers: list[dict[str, Any]]) -> Any:
    """Asks the gateway about a customer; the id of the prediction."""

    def ask() -> str:
        with compose.api(logins["api"]["marketing"]) as api:
            answer = api.post("/predict", json={"customers": customers[:1]}).raise_for_status().json()
        return str(answer["predictions"][0]["prediction_id"])

    return ask


@pytest.fixture(scope="module")
def champion(compose: Compose, account: Account, logins: dict[str, Any]) -> str:
    """The model that the chain of DAGs has brought to traffic, triggered by hand once."""
    with compose.airflow(logins["airflow"]["password"]) as api:
        since = now()
        run = api.trigger(CHAIN[0], {"source": "bundled"})
        for dag in CHAIN:
            named = run if dag == CHAIN[0] else wait_for_run(api, dag, since)
            followed = wait_for_dag_run(api, dag, named, log_progress, timeout=1200)
            failed = [task for task, state in followed.tasks.items() if state == "failed"]
            assert followed.state == "success", [api.log(dag, followed.run, task)[-3000:] for task in failed]
    [(model_id, target)] = account.database.sql("SELECT model_id, target FROM releases WHERE state = 'live'")
    assert target == "docker"
    return str(model_id)


def test_what_aws_has_is_left_out_and_what_is_missing_there_is_made(compose: Compose, account: Account) -> None:
    assert compose.healthy()
    assert not {"postgres", "object-store"} & {service_of(each) for each in compose.containers()}
    store = account.aws.client("s3")
    places = {bucket: store.get_bucket_location(Bucket=bucket)["LocationConstraint"] for bucket in BUCKETS.values()}
    assert set(places.values()) == {REGION}
    assert {each["Name"] for each in store.list_buckets()["Buckets"]} == set(BUCKETS.values())
    encrypted = account.database.sql(
        "SELECT usename, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE usename <> 'postgres' GROUP BY 1"
    )
    assert dict(encrypted).keys() >= {"airflow", "deposit", "mlflow"}
    assert all(dict(encrypted).values())


def test_no_secret_of_aws_is_in_the_environment_of_a_container(compose: Compose, account: Account) -> None:
    known = account.values().values()
    for each in compose.containers():
        environment = "\n".join(each["Config"]["Env"])
        assert [secret[:12] for secret in known if secret in environment] == [], service_of(each)


def test_the_chain_of_dags_brings_a_champion_to_traffic_and_its_logs_are_in_s3(
    compose: Compose, account: Account, champion: str, logins: dict[str, Any]
) -> None:
    for use in ("data", "mlflow", "bentos"):
        assert account.objects(BUCKETS[use]), use
    with compose.airflow(logins["airflow"]["password"]) as api:
        run = api.call("GET", "/api/v2/dags/deposit_ingest/dagRuns")["dag_runs"][0]["dag_run_id"]
        shown = api.log("deposit_ingest", run, "ingest")
    logged = account.objects(BUCKETS["logs"], "airflow/dag_id=deposit_ingest/")
    assert [key for key in logged if "task_id=ingest" in key] != []
    assert f"s3://{BUCKETS['logs']}/airflow/dag_id=deposit_ingest/" in shown
    assert "dataset" in shown


def test_a_prediction_reaches_rds_over_tls(champion: str, account: Account, ids: Callable[[], str]) -> None:
    made = ids()
    until(lambda: stored(account, made))
    rows = account.database.sql(f"SELECT client, model_id FROM predictions WHERE prediction_id = '{made}'")
    assert rows == [("marketing", champion)]
    writers = account.database.sql(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'writer'"
    )
    assert writers == [(True,)]


def stored(account: Account, prediction_id: str) -> bool:
    """Whether a prediction is in PostgreSQL, once."""
    statement = f"SELECT count(*) FROM predictions WHERE prediction_id = '{prediction_id}'"
    return account.database.sql(statement) == [(1,)]


def test_a_month_is_monitored_and_its_report_is_in_s3_and_in_airflows_page(
    compose: Compose, account: Account, champion: str, logins: dict[str, Any]
) -> None:
    month = f"{now():%Y-%m}"
    compose.command("monitor", "--period", month)
    judged = account.database.sql(f"SELECT scope FROM metrics WHERE period = '{month}' AND name = 'verdict'")
    assert judged == [(champion,)]
    assert f"monitoring/{month}/{champion}.html" in account.objects(BUCKETS["reports"])
    assert "<html" in compose.airflow_page(logins["airflow"]["password"], f"/deposit/reports/{month}/{champion}")


def test_another_model_is_released_and_rolled_back(compose: Compose, account: Account, champion: str) -> None:
    with compose.settings(DEPOSIT_TRAIN__SEED="11"):
        compose.command("train")
        compose.command("select")
    compose.command("release", "--model", "deposit-v2")
    compose.command("rollback")
    states = account.database.sql("SELECT kind, model_id, state FROM releases ORDER BY id")
    assert states == [
        ("release", champion, "retired"), ("release", "deposit-v2", "retired"), ("rollback", champion, "live")
    ]  # fmt: skip


def test_while_aws_is_silent_predictions_are_stored_and_a_task_is_tried_again(
    compose: Compose, account: Account, ids: Callable[[], str], logins: dict[str, Any]
) -> None:
    with compose.airflow(logins["airflow"]["password"]) as api:
        with account.aws.silent():
            made = ids()
            until(lambda: stored(account, made))
            refused = compose.command("models", check=False)
            run = api.trigger("deposit_ingest", {"source": "bundled"})
            until(lambda: api.tasks("deposit_ingest", run).get("ingest") == "up_for_retry", 300)
            assert compose.healthy()
        assert wait_for_dag_run(api, "deposit_ingest", run, log_progress).state == "success"
    assert sentence(refused).startswith(
        "error: DEPOSIT_DATABASE__URL_SECRET: the secret deposit-dev/database/url cannot"
    )
    assert "see that this machine reaches AWS" in sentence(refused)


def test_while_rds_is_away_predictions_are_answered_and_come_to_it_later(
    account: Account, ids: Callable[[], str]
) -> None:
    with account.database.away():
        made = ids()
    until(lambda: stored(account, made), 180)


def test_each_fault_ends_in_one_sentence_that_names_what_to_correct(
    compose: Compose, account: Account, champion: str, ids: Callable[[], str]
) -> None:
    before = account.database.sql("SELECT count(*) FROM datasets")
    wrong = account.database.url("deposit", "of somebody else", "deposit")
    with account.secret("url", wrong):
        refused = sentence(compose.command("monitor", "--period", "2026-11", check=False))
        assert 'password authentication failed for user "deposit"' in refused
        assert refused.endswith("correct DEPOSIT_DATABASE__URL")
    with account.database.of_another_authority():
        refused = sentence(compose.command("monitor", "--period", "2026-11", check=False))
        assert "certificate verify failed" in refused
        assert refused.endswith("or correct DEPOSIT_DATABASE__URL or DEPOSIT_DATABASE__CA_FILE")
    with account.secret("writer-url", None):
        refused = sentence(compose.run("run", "--rm", "--no-deps", "-T", "init", check=False))
        assert "the secret deposit-dev/database/writer-url cannot be read" in refused
        assert "there is none of that name in this account and region" in refused
    with compose.settings(DEPOSIT_STORE__DATA_BUCKET="deposit-of-nobody"):
        refused = sentence(compose.command("ingest", check=False))
        assert refused.endswith("make it, or correct DEPOSIT_STORE__DATA_BUCKET")
    assert account.database.sql("SELECT count(*) FROM datasets") == before
    assert {each["Name"] for each in account.aws.client("s3").list_buckets()["Buckets"]} == set(BUCKETS.values())
    until(lambda: stored(account, ids()))


def sentence(refused: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed says last, of at most 200 letters, and nothing of where in the code."""
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert len(last) <= 200
    return last


def test_down_leaves_nothing_on_this_machine_and_up_brings_the_champion_back(
    compose: Compose, account: Account, champion: str, ids: Callable[[], str]
) -> None:
    compose.make("down")
    assert compose.containers() == []
    logger.info("healthy %.0f s after the second `up --wait`", compose.up())
    until(lambda: stored(account, ids()), 180)
