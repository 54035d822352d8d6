"""What policies allow, what is open, what is encrypted and how long logs are kept: read from both applied states."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from terraformed import STATES, Applied

pytestmark = pytest.mark.timeout(1500)

# a resource `*` by the statement's name, and why there is none narrower
ANY_RESOURCE = {
    "SignIn": "a token of the registry is of the account, not of a repository",
    "NetworkInterfaces": "calls of Lambda's own, which know no resource; what runs in the function is denied them",
    "ListTasks": "knows no resource that Fargate has; held to the cluster by a condition",
    "TaskDefinitions": "ECS knows no resource for reading, listing and deregistering task definitions",
    "EphemeralValues": "drawing a random password concerns no secret",
    "AccountAdministers": "in a key's policy `*` is that key",
    "LogGroups": "in a key's policy `*` is that key",
    "Alarms": "in a key's policy `*` is that key",
}
# an action `*` of a service
ANY_ACTION = {"AccountAdministers": "else nobody could ever change the key's policy"}
# a principal `*`
ANYBODY = {
    "OwnBuckets": "an endpoint's policy gives nobody anything; conditions hold it to the account",
    "LayersOfImages": "an endpoint's policy gives nobody anything; a bucket of AWS's own",
}
# an attached policy of AWS's own
MANAGED = {
    "AmazonRDSEnhancedMonitoringRole": "the role that RDS documents for it",
    "ReadOnlyAccess": "a plan reads back every kind of resource",
    "PowerUserAccess": "an apply by hand, behind a reviewer, makes every kind of resource but roles",
}  # fmt: skip
POLICIES = {"policy", "assume_role_policy"}


@pytest.fixture(scope="module")
def resources(applied: Applied) -> list[dict[str, Any]]:
    return [each for state in STATES for each in applied.resources(state)]


def _of(resources: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    values = {each["address"]: each["values"] for each in resources if each["type"] == kind}
    assert values, f"nothing of {kind}: what is asserted of it would be empty"
    return values


def _statements(resources: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in resources:
        # a topic's policy is a resource of its own; the topic shows what AWS gave it before that
        names = POLICIES & each["values"].keys() if each["type"] != "aws_sns_topic" else set()
        for name in names:
            text = each["values"][name]
            document = json.loads(text) if text and text.startswith("{") else {}
            for statement in document.get("Statement", []):
                yield each["address"], statement


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _allowed(resources: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    allowed = [(address, statement) for address, statement in _statements(resources) if statement["Effect"] == "Allow"]
    assert len(allowed) > 80
    return allowed


def test_no_action_is_everything(resources: list[dict[str, Any]]) -> None:
    wide = {
        statement.get("Sid", address)
        for address, statement in _allowed(resources)
        if any(action == "*" or action.endswith(":*") for action in _list(statement.get("Action", "*")))
    }
    assert wide == ANY_ACTION.keys()


def test_no_resource_is_everything_without_a_reason(resources: list[dict[str, Any]]) -> None:
    wide = {
        statement.get("Sid", address)
        for address, statement in _allowed(resources)
        if "*" in _list(statement.get("Resource", []))
    }
    # and no reason stands for what is gone
    assert wide == ANY_RESOURCE.keys()


def test_nobody_is_everybody(resources: list[dict[str, Any]]) -> None:
    public = {
        statement.get("Sid", address)
        for address, statement in _allowed(resources)
        if "*" in [each for value in _principals(statement) for each in _list(value)]
    }
    assert public == ANYBODY.keys()


def _principals(statement: dict[str, Any]) -> list[Any]:
    principal = statement.get("Principal", {})
    return list(principal.values()) if isinstance(principal, dict) else [principal]


def test_two_roles_write_keys_and_no_other_secret(resources: list[dict[str, Any]]) -> None:
    writers = {
        address: (set(statement["Action"]), statement["Resource"].partition(":secret:")[2])
        for address, statement in _allowed(resources)
        if any(action.startswith("secretsmanager:Put") for action in _list(statement["Action"]))
    }
    assert writers.keys() == {
        "aws_iam_role_policy.keys[0]",
        'module.platform.aws_iam_role_policy.task["preparation"]',
    }
    for actions, secret in writers.values():
        assert actions == {
            f"secretsmanager:{each}" for each in ("GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
        }
        assert secret.startswith("deposit-dev/api/keys")


def test_roles_of_a_pipeline_are_for_one_repository(resources: list[dict[str, Any]]) -> None:
    federated = [each for _, each in _allowed(resources) if each["Action"] == "sts:AssumeRoleWithWebIdentity"]
    assert len(federated) == 3
    for statement in federated:
        conditions = statement["Condition"]
        assert conditions["StringEquals"]["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        subjects = _list(conditions["StringLike"]["token.actions.githubusercontent.com:sub"])
        assert all(subject.startswith("repo:bank/deposit:") for subject in subjects)


def test_policies_of_aws_are_those_with_a_reason(resources: list[dict[str, Any]]) -> None:
    attached = _of(resources, "aws_iam_role_policy_attachment").values()
    assert {each["policy_arn"].rpartition("/")[2] for each in attached} <= MANAGED.keys()


def test_no_bucket_is_public_or_open_without_tls(resources: list[dict[str, Any]]) -> None:
    buckets = {values["bucket"] for values in _of(resources, "aws_s3_bucket").values()}
    blocks = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    closed = {
        values["bucket"]
        for values in _of(resources, "aws_s3_bucket_public_access_block").values()
        if all(values[each] for each in blocks)
    }
    tls = {
        values["bucket"]
        for values in _of(resources, "aws_s3_bucket_policy").values()
        for statement in json.loads(values["policy"])["Statement"]
        if statement["Effect"] == "Deny" and statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    }
    assert len(buckets) == 6
    assert closed == tls == buckets


def test_the_only_way_in_is_the_load_balancers_443(resources: list[dict[str, Any]]) -> None:
    by_address = {
        (address, values["cidr_ipv4"], values["from_port"], values["to_port"])
        for address, values in _of(resources, "aws_vpc_security_group_ingress_rule").items()
        if not values["referenced_security_group_id"]
    }
    assert by_address == {('aws_vpc_security_group_ingress_rule.https["0.0.0.0/0"]', "0.0.0.0/0", 443, 443)}


def test_rules_are_resources_of_their_own(resources: list[dict[str, Any]]) -> None:
    assert not [each["address"] for each in resources if each["type"] == "aws_security_group_rule"]
    groups = _of(resources, "aws_security_group")
    rules = [*_of(resources, "aws_vpc_security_group_ingress_rule").values(),
             *_of(resources, "aws_vpc_security_group_egress_rule").values()]  # fmt: skip
    assert {values["id"] for values in groups.values()} == {values["security_group_id"] for values in rules} | {
        # only answers
        values["id"] for address, values in groups.items() if address == "module.database.aws_security_group.this"
    }  # fmt: skip
    assert all(values["description"] for values in rules)


def test_everything_is_encrypted(resources: list[dict[str, Any]]) -> None:
    keys = {
        "aws_secretsmanager_secret": "kms_key_id",
        "aws_cloudwatch_log_group": "kms_key_id",
        "aws_sns_topic": "kms_master_key_id",
        "aws_lambda_function": "kms_key_arn",
        "aws_db_instance": "kms_key_id",
    }
    for kind, name in keys.items():
        assert [address for address, values in _of(resources, kind).items() if not values[name]] == []
    assert all(values["storage_encrypted"] for values in _of(resources, "aws_db_instance").values())
    repositories = _of(resources, "aws_ecr_repository").values()
    assert {values["encryption_configuration"][0]["encryption_type"] for values in repositories} == {"KMS"}
    rules = {
        values["bucket"]: values["rule"][0]["apply_server_side_encryption_by_default"][0]["sse_algorithm"]
        for values in _of(resources, "aws_s3_bucket_server_side_encryption_configuration").values()
    }
    # load balancers write to no other
    assert rules.pop("deposit-dev-123456789012-access") == "AES256"
    assert set(rules.values()) == {"aws:kms"}
    assert len(rules) == 5
    assert {values["protocol"] for values in _of(resources, "aws_lb_listener").values()} == {"HTTPS"}


def test_every_log_ends(resources: list[dict[str, Any]]) -> None:
    groups = _of(resources, "aws_cloudwatch_log_group")
    assert {address for address, values in groups.items() if not values["retention_in_days"]} == set()


def test_everything_that_can_have_tags_has_those_of_the_state(resources: list[dict[str, Any]]) -> None:
    tagged = [each["values"]["tags_all"] for each in resources if "tags_all" in each["values"]]
    assert len(tagged) > 100
    assert {(tags["Project"], tags["Environment"]) for tags in tagged} == {("deposit", "dev")}


def test_alarms_reach_somebody(resources: list[dict[str, Any]]) -> None:
    topic = next(iter(_of(resources, "aws_sns_topic").values()))["arn"]
    assert all(values["alarm_actions"] == [topic] for values in _of(resources, "aws_cloudwatch_metric_alarm").values())
    assert {values["endpoint"] for values in _of(resources, "aws_sns_topic_subscription").values()} == {
        "oncall@example.org"
    }
