import ast
import inspect
import os
import sys
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CalledProcessError
from typing import get_args

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, RetryAction, RetryDecision
from airflow.sdk.exceptions import AirflowException, ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from deposit.sections import IngestSettings, Rule
from deposit.tasks import REFUSED

ROOT = Path(__file__).resolve().parents[2]
DAGS = {
    "deposit_ingest": {"locate": {"wait", "ingest"}, "wait": {"ingest"}, "ingest": set()},
    "deposit_train": {"train": {"select"}, "select": set()},
    "deposit_release": {"request": {"wait"}, "wait": set()},
    "deposit_replay": {"replay": set()},
    "deposit_score": {"score": set()},
    "deposit_archive": {"archive": set()},
    "deposit_monitor": {
        "monitor": {"report", "alarm"},
        "report": set(),
        "alarm": set(),
        "replace_expired": set(),
    },
}


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(ROOT / "dags"))


def test_every_file_imports_without_a_database(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == set(DAGS)


@pytest.mark.parametrize("dag_id", DAGS)
def test_edges_are_exactly_these(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == DAGS[dag_id]


@pytest.mark.parametrize("dag_id", DAGS)
def test_policy(bag: DagBag, dag_id: str) -> None:
    dag = bag.dags[dag_id]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.doc_md.startswith("### ")
    assert all(param.description for param in (dag.params.get_param(name) for name in dag.params))
    for task in dag.tasks:
        assert task.owner == "deposit"
        assert task.retries >= 1
        assert task.retry_exponential_backoff
        assert task.execution_timeout is not None


def test_assets_join_the_dags(bag: DagBag) -> None:
    def outlets(dag_id: str) -> set[str]:
        return {asset.uri for task in bag.dags[dag_id].tasks for asset in task.outlets}

    def triggers(dag_id: str) -> set[str]:
        return {asset.uri for asset in bag.dags[dag_id].timetable.asset_condition.objects}

    assert outlets("deposit_ingest") == {"deposit://dataset/"}
    assert outlets("deposit_monitor") == {"deposit://decay/", "deposit://champion/"}
    assert triggers("deposit_train") == {"deposit://dataset/", "deposit://decay/"}
    assert outlets("deposit_train") == triggers("deposit_release") == {"deposit://champion/"}


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=lambda path: path.stem)
def test_files_are_short_and_import_nothing_heavy(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 100
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    standard = {"datetime", "subprocess", "typing"}
    airflow = {"airflow.sdk", "airflow.sdk.exceptions", "airflow.providers.amazon.aws.sensors.s3"}
    assert roots <= {*standard, *airflow, "deposit_defaults", "deposit.settings", "deposit.tasks"}


def test_the_form_of_ingest_offers_each_rule_that_may_be_accepted(bag: DagBag) -> None:
    accept = bag.dags["deposit_ingest"].params.get_param("accept")
    assert accept.schema["examples"] == [*Rule]
    assert accept.resolve(["gaps", "macro"]) == ["gaps", "macro"]
    with pytest.raises(ParamValidationError):
        accept.resolve(["order"])


@pytest.mark.parametrize(
    ("dag_id", "name", "right", "wrong"),
    [
        ("deposit_train", "dataset", [None, "0123456789abcdef"], ["latest", "0123456789ABCDEF", "0123456789abcde"]),
        ("deposit_release", "model", [None, "deposit-v3", "a.b-c-v10"], ["v3", "deposit", "deposit-v0", "deposit-v3 "]),
        ("deposit_release", "rollback", [True, False], ["yes", 1, None]),
        ("deposit_replay", "from", ["2008-11"], ["2008-13", "2008-1", "2008-11-01", "nov 2008"]),
        ("deposit_replay", "to", ["2010-01"], ["2010-00", "10-11"]),
        ("deposit_score", "model", [None, "deposit-v3"], ["v3", ""]),
        ("deposit_score", "period", [None, "2010-05", "2010-05-31"], ["2010-13", ""]),
        ("deposit_score", "input", [None, "s3://bank/customers/*.parquet"], [""]),
        ("deposit_ingest", "charset", [None, "windows-1252", "ISO-8859-2"], ["", "1252", "latin 1"]),
        ("deposit_score", "charset", [None, "cp850"], ["", "850"]),
        ("deposit_archive", "month", [None, "2010-05"], ["2010-13", "2010-05-01", ""]),
        ("deposit_monitor", "period", [None, "2010-05", "2010-05-31"], ["2010-13", "2010-05-32", "05/2010", ""]),
    ],
)
def test_a_parameter_that_can_name_nothing_is_refused_by_the_form(
    bag: DagBag, dag_id: str, name: str, right: list, wrong: list
) -> None:
    param = bag.dags[dag_id].params.get_param(name)
    assert [param.resolve(value) for value in right] == right
    for value in wrong:
        with pytest.raises(ParamValidationError):
            param.resolve(value)


def _run(bag: DagBag, dag_id: str, task_id: str, *values: object) -> Exception:
    """What a task raises that is run in the models' environment with these values."""
    task = copy(bag.dags[dag_id].get_task(task_id))  # the DAG is shared by all tests
    task.op_args, task._bundle_path = values, None
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which it is, is what is tested
        task.execute_callable()
    return raised.value


def _decision(bag: DagBag, dag_id: str, task_id: str, error: BaseException) -> RetryDecision:
    task = bag.dags[dag_id].get_task(task_id)
    return task.retry_policy.evaluate(exception=error, try_number=1, max_tries=task.retries, context=None)


def test_a_task_that_is_refused_fails_at_once_with_its_reason(bag: DagBag, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    error = _run(bag, "deposit_ingest", "ingest", "fax", None, None, None, None, None)
    assert isinstance(error, CalledProcessError)
    assert error.returncode == REFUSED
    assert _decision(bag, "deposit_ingest", "ingest", error).action is RetryAction.FAIL
    assert caplog.messages[-1].startswith("ERROR:deposit:wrong setting: DEPOSIT_INGEST__SOURCE")


@pytest.mark.parametrize("name", ["ingest", "score"])
def test_the_charset_in_the_form_is_passed_to_the_task(bag: DagBag, name: str) -> None:
    task = bag.dags[f"deposit_{name}"].get_task(name)
    names = [*inspect.signature(task.python_callable).parameters]
    assert task.op_args[names.index("charset")] == "{{ params['charset'] }}"


def test_a_rollback_that_names_a_model_is_refused(bag: DagBag, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    error = _run(bag, "deposit_release", "request", "deposit-v3", True)
    assert _decision(bag, "deposit_release", "request", error).action is RetryAction.FAIL
    assert "`model` names deposit-v3: give only one" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("dag_id", "task_id", "values"),
    [
        ("deposit_ingest", "ingest", ("bundled", None, None, None, None, None)),
        ("deposit_monitor", "alarm", (["2010-05"], "2010-06-01")),
        ("deposit_release", "request", (None, True)),
        ("deposit_train", "train", (None,)),
    ],
)
def test_a_task_whose_server_is_down_is_tried_again(
    bag: DagBag, monkeypatch: pytest.MonkeyPatch, dag_id: str, task_id: str, values: tuple
) -> None:
    monkeypatch.setenv("DEPOSIT_DATABASE__URL", "postgresql://nobody@127.0.0.1:1/none")
    error = _run(bag, dag_id, task_id, *values)
    assert isinstance(error, AirflowException)
    assert "127.0.0.1:1" in str(error)
    assert _decision(bag, dag_id, task_id, error).action is RetryAction.DEFAULT


def test_the_form_of_ingest_leaves_to_the_settings_what_nobody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPOSIT_INGEST__SOURCE", "uci")
    params = _parsed("deposit_ingest", monkeypatch).params
    assert {name: params[name] for name in params} == dict.fromkeys(params)
    sources = get_args(IngestSettings.model_fields["source"].annotation)
    assert params.get_param("source").schema["enum"] == [None, *sources]


@pytest.mark.parametrize("cron", ["0 6 3 * *", "@monthly"])
@pytest.mark.parametrize("name", ["ingest", "score", "archive"])
def test_it_runs_by_itself_when_a_setting_says_so(name: str, cron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"DEPOSIT_{name.upper()}__SCHEDULE", cron)
    assert _parsed(f"deposit_{name}", monkeypatch).schedule == cron


@pytest.mark.parametrize("name", ["ingest", "score", "archive"])
def test_it_runs_when_it_is_asked_to_and_not_else(bag: DagBag, name: str) -> None:
    assert bag.dags[f"deposit_{name}"].schedule is None


def test_a_score_of_nothing_is_refused_with_what_to_set(bag: DagBag, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    error = _run(bag, "deposit_score", "score", None, None, None, None, None, False, False, "2026-11-30")
    assert _decision(bag, "deposit_score", "score", error).action is RetryAction.FAIL
    assert caplog.messages[-1].startswith("ERROR:deposit:there is no input")


@pytest.mark.parametrize(("days", "due"), [(0, False), (3, True)])
def test_a_stack_without_docker_has_missed_no_night_before_it_was_made(
    days: int, due: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    made = (now - timedelta(days=days)).timestamp()
    (tmp_path / "secrets.json").touch()
    os.utime(tmp_path / "secrets.json", (made, made))
    monkeypatch.setenv("DEPOSIT_STATE_DIR", str(tmp_path))

    dag = DagSerialization.from_dict(DagSerialization.to_dict(_parsed("deposit_monitor", monkeypatch)))
    first = dag.next_dagrun_info(last_automated_run_info=None)

    assert first is not None
    assert (first.run_after <= now) == due


def _parsed(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> DAG:
    """A DAG as a process reads it that starts with the environment of now."""
    monkeypatch.delitem(sys.modules, "deposit_defaults", raising=False)
    bag = DagBag(str(ROOT / "dags" / f"{dag_id}.py"))
    assert bag.import_errors == {}
    return bag.dags[dag_id]


@pytest.mark.parametrize("dag_id", DAGS)
def test_the_scheduler_takes_every_dag_with_its_policy(bag: DagBag, dag_id: str) -> None:
    tasks = DagSerialization.to_dict(bag.dags[dag_id])["dag"]["tasks"]
    assert all(task["__var"]["has_retry_policy"] for task in tasks)
