import ast
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError

from deposit.sections import Rule

ROOT = Path(__file__).resolve().parents[2]
DAGS = {
    "deposit_ingest": {"ingest": set()},
    "deposit_train": {"train": {"select"}, "select": set()},
    "deposit_release": {"request": {"wait"}, "wait": set()},
    "deposit_replay": {"replay": set()},
    "deposit_monitor": {"monitor": {"report", "alarm"}, "report": set(), "alarm": set()},
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
    assert outlets("deposit_monitor") == {"deposit://decay/"}
    assert triggers("deposit_train") == {"deposit://dataset/", "deposit://decay/"}
    assert outlets("deposit_train") == triggers("deposit_release") == {"deposit://champion/"}


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=lambda path: path.stem)
def test_files_are_short_and_import_nothing_heavy(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 100
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert roots <= {"datetime", "airflow.sdk", "deposit_defaults", "deposit.settings"}


def test_the_form_of_ingest_offers_each_rule_that_may_be_accepted(bag: DagBag) -> None:
    accept = bag.dags["deposit_ingest"].params.get_param("accept")
    assert accept.schema["examples"] == [*Rule]
    assert accept.resolve(["gaps", "macro"]) == ["gaps", "macro"]
    with pytest.raises(ParamValidationError):
        accept.resolve(["order"])
