"""The patches do what they are for; docs/aws.md names each of them."""

import pytest
from botocore.exceptions import ClientError
from simulated_aws.server import SimulatedAws

pytestmark = pytest.mark.servers

GOOD, BAD = f"a.test/serving@sha256:{'0' * 64}", f"a.test/serving@sha256:{'0' * 60}dead"


@pytest.fixture
def aws(simulated_aws: SimulatedAws) -> SimulatedAws:
    simulated_aws.reset()
    return simulated_aws


def _register(aws: SimulatedAws, image: str) -> str:
    answer = aws.client("ecs").register_task_definition(
        family="serving",
        cpu="256",
        memory="512",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        containerDefinitions=[{"name": "service", "image": image}, {"name": "shipper", "image": GOOD}],
    )
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def _service(aws: SimulatedAws) -> dict[str, object]:
    return dict(aws.client("ecs").describe_services(cluster="main", services=["serving"])["services"][0])


def test_a_deployment_completes_and_one_that_is_never_healthy_is_rolled_back(aws: SimulatedAws) -> None:
    ecs, good = aws.client("ecs"), _register(aws, GOOD)
    ecs.create_cluster(clusterName="main")
    ecs.create_service(
        cluster="main",
        serviceName="serving",
        taskDefinition=good,
        desiredCount=2,
        healthCheckGracePeriodSeconds=60,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )
    assert _service(aws)["healthCheckGracePeriodSeconds"] == 60
    assert (_service(aws)["runningCount"], _service(aws)["taskDefinition"]) == (2, good)

    bad = _register(aws, BAD)
    ecs.update_service(cluster="main", service="serving", taskDefinition=bad)

    assert _service(aws)["taskDefinition"] == good
    states = [(each["taskDefinition"], each["rolloutState"]) for each in _service(aws)["deployments"]]  # type: ignore[attr-defined]
    assert states == [(good, "COMPLETED"), (bad, "FAILED")]


def test_a_task_has_all_its_containers_and_an_exit_code_when_it_has_stopped(aws: SimulatedAws) -> None:
    ecs, ec2 = aws.client("ecs"), aws.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=network)["GroupId"]
    ecs.create_cluster(clusterName="main")
    task = ecs.run_task(
        cluster="main",
        launchType="FARGATE",
        taskDefinition=_register(aws, BAD),
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    )["tasks"][0]["taskArn"]

    ecs.get_waiter("tasks_stopped").wait(cluster="main", tasks=[task], WaiterConfig={"Delay": 1, "MaxAttempts": 20})

    containers = ecs.describe_tasks(cluster="main", tasks=[task])["tasks"][0]["containers"]
    assert {each["name"]: each["exitCode"] for each in containers} == {"service": 1, "shipper": 0}


def test_a_call_that_is_not_simulated_is_refused_at_once(aws: SimulatedAws) -> None:
    with pytest.raises(ClientError, match="NotSimulated") as refused:
        aws.client("ecs").describe_service_deployments(serviceDeploymentArns=["a"])
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
