"""The end: nothing is left that costs, answers or remembers. It runs after everything else here."""

import pytest
from terraformed import STATE_BUCKET, STATES, Applied

pytestmark = pytest.mark.timeout(1500)


def _clusters(applied: Applied) -> list[dict[str, str]]:
    """Those that are gone too, which the simulated AWS goes on listing."""
    ecs = applied.aws.client("ecs")
    return list(ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"])


def test_destroy_leaves_nothing(applied: Applied) -> None:
    for state in reversed(STATES):
        applied.terraform.run(state, "destroy", "-input=false", "-auto-approve", "-no-color", *applied.variables[state])

    aws = applied.aws.client
    left = {
        "buckets": [each["Name"] for each in aws("s3").list_buckets()["Buckets"] if each["Name"] != STATE_BUCKET],
        "databases": aws("rds").describe_db_instances()["DBInstances"],
        "snapshots": aws("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"],
        "clusters": [each["clusterName"] for each in _clusters(applied) if each["status"] != "INACTIVE"],
        "functions": aws("lambda").list_functions()["Functions"],
        "apis": aws("apigatewayv2").get_apis()["Items"],
        "load balancers": aws("elbv2").describe_load_balancers()["LoadBalancers"],
        "images": aws("ecr").describe_repositories()["repositories"],
        "secrets": aws("secretsmanager").list_secrets()["SecretList"],
        "logs": aws("logs").describe_log_groups()["logGroups"],
        "networks": [each["VpcId"] for each in aws("ec2").describe_vpcs()["Vpcs"] if not each["IsDefault"]],
        "gateways": [
            each["NatGatewayId"]
            for each in aws("ec2").describe_nat_gateways()["NatGateways"]
            if each["State"] != "deleted"
        ],
        "addresses": aws("ec2").describe_addresses()["Addresses"],
        "roles": aws("iam").list_roles()["Roles"],
        "identity providers": aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"],
        "alarms": aws("cloudwatch").describe_alarms()["MetricAlarms"],
        "topics": aws("sns").list_topics()["Topics"],
        "keys": [
            each["KeyId"]
            for each in aws("kms").list_keys()["Keys"]
            if aws("kms").describe_key(KeyId=each["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
        ],
    }
    assert {what: leftovers for what, leftovers in left.items() if leftovers} == {}
