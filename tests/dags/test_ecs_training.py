"""The task `train` on ECS, by Airflow's own executor, against a simulated AWS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.models.taskinstancekey import TaskInstanceKey

ROOT = Path(__file__).resolve().parents[2]
KEY = TaskInstanceKey("deposit_train", "train", "manual", 1, -1)
COMMAND = ["python", "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "{}"]


PARSED = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags/deposit_train.py")
tasks = bag.dags["deposit_train"].tasks if bag.dags else []
print(json.dumps([bag.import_errors, {task.task_id: task.executor for task in tasks}]))
"""


@pytest.mark.parametrize("chosen", ["", "ecs", "celery"])
def test_a_setting_says_where_training_runs(chosen: str) -> None:
    environment = os.environ | {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,ecs:airflow.providers.amazon.aws.executors.ecs.AwsEcsExecutor",
        "DEPOSIT_TRAIN__EXECUTOR": chosen,
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSED], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    errors, tasks = json.loads(done.stdout.splitlines()[-1])
    if chosen == "celery":
        assert "specifies executor 'celery', which is not available" in str(errors)
        return
    assert errors == {}
    assert tasks == {"train": chosen or None, "select": None}


@pytest.fixture
def aws(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a simulated AWS that has nothing yet."""
    given = {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


@pytest.fixture
def worker(aws: dict[str, str]) -> dict[str, str]:
    """A cluster with the task definition of a worker; its name, and the subnet of a network."""
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="worker", Description="worker", VpcId=network)["GroupId"]
    ecs.create_cluster(clusterName="deposit")
    ecs.register_task_definition(
        family="deposit-airflow-worker",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="2048",
        containerDefinitions=[
            # the image's own entry point is `airflow`; the executor sends whole commands
            {"name": "worker", "image": "airflow@sha256:aa", "entryPoint": ["/usr/bin/env"], "memory": 2048}
        ],
    )
    return {"subnet": subnet, "group": group}


def test_a_training_becomes_a_task_of_ecs_with_its_command(
    worker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "CONN_ID": "aws_default",
        "REGION_NAME": "eu-central-1",
        "CLUSTER": "deposit",
        "CONTAINER_NAME": "worker",
        "TASK_DEFINITION": "deposit-airflow-worker",
        "LAUNCH_TYPE": "FARGATE",
        "SUBNETS": worker["subnet"],
        "SECURITY_GROUPS": worker["group"],
        "CHECK_HEALTH_ON_STARTUP": "False",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__AWS_ECS_EXECUTOR__{name}", value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    from airflow.providers.amazon.aws.executors.ecs.ecs_executor import AwsEcsExecutor

    executor: Any = AwsEcsExecutor()
    executor.start()
    # it would look by stopping a task that does not exist, which the simulated ECS refuses in other words than AWS
    executor.load_ecs_connection(check_connection=False)
    executor.IS_BOTO_CONNECTION_HEALTHY = True
    executor.execute_async(KEY, COMMAND)
    executor.sync()
    assert executor.get_event_buffer()[KEY][0] == "running"

    ecs = boto3.client("ecs")
    listed = [ecs.list_tasks(cluster="deposit", desiredStatus=status)["taskArns"] for status in ("RUNNING", "STOPPED")]
    (arn,) = {arn for arns in listed for arn in arns}
    (task,) = ecs.describe_tasks(cluster="deposit", tasks=[arn])["tasks"]
    assert task["taskDefinitionArn"].endswith("task-definition/deposit-airflow-worker:1")
    assert task["overrides"]["containerOverrides"][0]["command"] == COMMAND
