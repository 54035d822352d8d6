"""Source `s3` of `deposit_ingest`: a run waits in the triggerer for the bank's file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.amazon.aws.triggers.s3 import S3KeyTrigger
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from deposit.deploy.airflow import s3_connection
from deposit.sections import StoreSettings

ROOT = Path(__file__).resolve().parents[2]
PATTERN = "s3://bank/calls-2026-10*"


@pytest.fixture(scope="module")
def dag() -> Any:
    return DagBag(str(ROOT / "dags" / "deposit_ingest.py")).dags["deposit_ingest"]


@pytest.fixture
def bank(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of an S3 server with an empty bucket; Airflow's connection `aws_default` leads to it."""
    connection = s3_connection(StoreSettings(), aws_url, "key", "secret")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    client = boto3.client(
        "s3", endpoint_url=aws_url, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    client.create_bucket(Bucket="bank")
    return client


def located(dag: Any, *arguments: str | None) -> str:
    return dag.get_task("locate").python_callable(*arguments)


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("s3://bank/calls-{month}.csv", "s3://bank/calls-2026-10.csv"),
        ("s3://bank/{month}/", "s3://bank/2026-10/*"),
        ("s3://bank/calls-*.csv", "s3://bank/calls-*.csv"),
    ],
)
def test_a_run_looks_for_the_month_that_is_over(dag: Any, uri: str, pattern: str) -> None:
    assert located(dag, "s3", uri, "2026-11-29") == pattern


@pytest.mark.parametrize(("source", "uri"), [(None, None), ("bundled", "s3://bank/x"), ("s3", None)])
def test_where_rows_come_from_elsewhere_nothing_is_waited_for(dag: Any, source: str | None, uri: str | None) -> None:
    with pytest.raises(AirflowSkipException):
        located(dag, source, uri, "2026-11-29")
    assert dag.get_task("ingest").trigger_rule == "none_failed"


def test_a_run_waits_in_the_triggerer_until_the_file_is_there(dag: Any, bank: Any) -> None:
    sensor = dag.get_task("wait").prepare_for_execution()
    sensor.bucket_key, sensor.poke_interval = PATTERN, 0.2
    bank.put_object(Bucket="bank", Key="calls-2026-09.csv", Body=b"of the month before")
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, S3KeyTrigger)
    assert deferred.value.timeout == sensor.execution_timeout

    async def until_fired() -> Any:
        fired = asyncio.create_task(anext(trigger.run()))
        await asyncio.sleep(0.6)
        assert not fired.done()
        await asyncio.to_thread(bank.put_object, Bucket="bank", Key="calls-2026-10.csv", Body=b"x")
        return (await asyncio.wait_for(fired, 60)).payload

    event = asyncio.run(until_fired())
    assert event["status"] == "success"
    sensor.execute_complete({}, event)


def test_a_file_that_is_there_already_is_not_waited_for(dag: Any, bank: Any) -> None:
    sensor = dag.get_task("wait").prepare_for_execution()
    sensor.bucket_key = PATTERN
    bank.put_object(Bucket="bank", Key="calls-2026-10.csv", Body=b"x")
    assert sensor.execute({}) is None
