"""Both states from nothing, read back from the side of AWS."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from terraformed import CHANGES, NO_CHANGE, STATES, Applied
from typer.testing import CliRunner

from deposit import keys
from deposit.cli import app
from deposit.deploy.rds import admit_parts
from deposit.sections import ServeSettings
from deposit.settings import load_settings
from serving.access import Access
from serving.problems import RequestError

pytestmark = pytest.mark.timeout(1500)


def _secrets(applied: Applied) -> dict[str, str]:
    client = applied.aws.client("secretsmanager")
    arns = applied.outputs["foundation"]["secret_arns"]
    return {name: client.get_secret_value(SecretId=arn)["SecretString"] for name, arn in arns.items()}


def _variables_of(applied: Applied, family: str) -> dict[str, str]:
    """The environment that ECS gives a task, secrets' values included."""
    described = applied.aws.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    (container,) = [each for each in described["containerDefinitions"] if each.get("secrets")]
    manager = applied.aws.client("secretsmanager")
    values = {each["name"]: manager.get_secret_value(SecretId=each["valueFrom"]) for each in container["secrets"]}
    plain = {each["name"]: each["value"] for each in container["environment"]}
    return plain | {name: each["SecretString"] for name, each in values.items()}


def _admitted(access: Access, key: str) -> str | None:
    """The name that a key goes by; None if it is refused."""
    try:
        return access.authorise({b"authorization": f"Bearer {key}".encode()}, keys.PREDICT).name
    except RequestError:
        return None


@pytest.fixture(scope="module")
def keyed(applied: Applied) -> Iterator[str]:
    """The secret of the API keys as the preparation leaves it, and `deposit keys` after it."""
    with pytest.MonkeyPatch.context() as environment:
        variables = _variables_of(applied, "deposit-dev-preparation")
        for name, value in (variables | applied.aws.environment).items():
            environment.setenv(name, value)
        environment.setattr(boto3, "DEFAULT_SESSION", None)
        settings = load_settings()
        admit_parts(settings.serve, settings.api, settings.release)
        admit_parts(settings.serve, settings.api, settings.release)  # safe to repeat
        for name in ("branch", "gone"):
            made = CliRunner().invoke(app, ["keys", "add", name, "--role", "predict"])
            assert made.exit_code == 0, made.output
        gone = CliRunner().invoke(app, ["keys", "remove", "gone"])
        assert gone.exit_code == 0, gone.output
        yield str(settings.serve.keys_secret_id)


def test_keys_are_made_and_revoked_beside_terraform_and_services_follow(
    applied: Applied, keyed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPOSIT_SERVE__KEYS_SECRET_ID", keyed)
    secrets, now = _secrets(applied), [0.0]
    access = Access(ServeSettings(keys_secret_id=keyed), clock=lambda: now[0])
    assert _admitted(access, secrets["api/airflow-key"]) == "airflow"
    assert _admitted(access, secrets["api/releaser-key"]) == "releaser"
    made = CliRunner().invoke(app, ["keys", "add", "crm", "--role", "predict", "--json"])
    key = json.loads(made.stdout)["key"]
    for later, name in ((59.0, None), (61.0, "crm")):
        now[0] = later
        assert _admitted(access, key) == name
    assert CliRunner().invoke(app, ["keys", "remove", "crm"]).exit_code == 0
    now[0] = 122.0
    assert _admitted(access, key) is None
    assert [each.name for each in keys.read(keyed).keys] == ["airflow", "releaser", "branch"]
    assert key not in json.dumps(_secrets(applied))


# after keys were made and revoked, which are nothing of Terraform's
@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("state", STATES)
def test_a_second_plan_changes_nothing(applied: Applied, state: str) -> None:
    code, file = applied.planned(state)
    assert code == NO_CHANGE, applied.terraform.run(state, "show", "-no-color", str(file)).stdout


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("state", STATES)
def test_no_secret_is_in_a_state(applied: Applied, state: str) -> None:
    secrets, text = _secrets(applied), applied.state_file(state)
    parts = {urlsplit(value).password for value in secrets.values() if "://" in value}
    parts |= set(json.loads(secrets["airflow/passwords"]).values())
    assert len(parts) > 4
    assert [name for name, value in secrets.items() if json.dumps(value)[1:-1] in text or value in text] == []
    assert not any(part is None or part in text for part in parts)


@pytest.mark.usefixtures("keyed")
def test_what_is_secret_fits_together(applied: Applied) -> None:
    secrets = _secrets(applied)
    assert json.loads(secrets["airflow/passwords"]) == {"admin": secrets["airflow/admin-password"]}
    admin = urlsplit(secrets["database/admin-url"])
    assert admin.password == secrets["database/admin-password"]
    assert admin.hostname == applied.outputs["foundation"]["database"]["address"]
    passwords = [urlsplit(value).password for name, value in secrets.items() if name.endswith("-url")]
    assert len(set(passwords)) == len(passwords)


def test_the_database_is_private_encrypted_and_asks_for_tls(applied: Applied) -> None:
    rds = applied.aws.client("rds")
    database = rds.describe_db_instances(DBInstanceIdentifier="deposit-dev")["DBInstances"][0]
    assert (database["PubliclyAccessible"], database["StorageEncrypted"]) == (False, True)
    assert database["IAMDatabaseAuthenticationEnabled"] is True
    group = database["DBParameterGroups"][0]["DBParameterGroupName"]
    parameters = rds.describe_db_parameters(DBParameterGroupName=group)["Parameters"]
    assert {each["ParameterName"]: each.get("ParameterValue") for each in parameters}["rds.force_ssl"] == "1"


def test_the_service_waits_for_its_first_release(applied: Applied) -> None:
    ecs = applied.aws.client("ecs")
    service = ecs.describe_services(cluster="deposit-dev", services=["deposit-dev-serving"])["services"][0]
    assert service["desiredCount"] == 0
    assert service["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    containers = {each["name"]: each for each in definition["containerDefinitions"]}
    assert containers.keys() == {"volumes", "shipper", "service"}
    assert all(each["readonlyRootFilesystem"] and "@sha256:" in each["image"] for each in containers.values())
    assert {containers["service"]["stopTimeout"], containers["shipper"]["stopTimeout"]} == {120}
    assert {"containerName": "shipper", "condition": "START"} in containers["service"]["dependsOn"]
    assert containers["service"]["mountPoints"] == containers["shipper"]["mountPoints"]
    assert definition["executionRoleArn"] != definition["taskRoleArn"]


@pytest.mark.usefixtures("keyed")
def test_no_value_of_a_secret_is_in_a_task_definition_or_a_function(applied: Applied) -> None:
    ecs, functions = applied.aws.client("ecs"), applied.aws.client("lambda")
    arns = ecs.list_task_definitions()["taskDefinitionArns"]
    texts = [
        json.dumps(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"], default=str) for arn in arns
    ]
    texts.append(json.dumps(functions.get_function(FunctionName="deposit-dev-front"), default=str))
    assert len(texts) > 10
    assert [name for name, value in _secrets(applied).items() if any(value in text for text in texts)] == []


def test_every_part_is_a_service_or_a_task_that_is_started(applied: Applied) -> None:
    platform = applied.outputs["services"]["platform"]
    assert set(platform["families"]) - set(platform["services"]) == {"airflow-worker", "migration", "preparation"}
    assert {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "mlflow",
            "grafana", "releaser"} == set(platform["services"])  # fmt: skip
    ecs = applied.aws.client("ecs")
    running = ecs.describe_services(cluster="deposit-dev", services=list(platform["services"].values()))["services"]
    assert {each["runningCount"] for each in running} == {1}


@pytest.mark.usefixtures("keyed")
def test_settings_name_what_stands(applied: Applied) -> None:
    lines = applied.outputs["services"]["settings"].splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    buckets = {each["Name"] for each in applied.aws.client("s3").list_buckets()["Buckets"]}
    named = {value for name, value in settings.items() if name.endswith("_BUCKET")}
    assert len(named) == 5
    assert named <= buckets
    assert settings["DEPOSIT_RELEASE__ECS_SERVICE"] == "deposit-dev-serving"
    assert not any(value in text for value in _secrets(applied).values() for text in lines)


def test_a_state_that_somebody_else_holds_is_left_alone(applied: Applied) -> None:
    lock = {"ID": "11111111-1111-1111-1111-111111111111", "Operation": "OperationTypeApply", "Who": "somebody@else"}
    s3, key = applied.aws.client("s3"), "services.tfstate.tflock"
    s3.put_object(Bucket="deposit-states", Key=key, Body=json.dumps(lock))
    try:
        arguments = ["plan", "-input=false", "-no-color", *applied.variables["services"]]
        refused: subprocess.CompletedProcess[str] = applied.terraform.run("services", *arguments, codes=(1,))
    finally:
        s3.delete_object(Bucket="deposit-states", Key=key)
    assert "somebody@else" in refused.stderr


@pytest.mark.parametrize(
    ("state", "wrong", "reasons"),
    [
        ("foundation", {"environment": "test", "cidr": "10.0.0.0"}, ["must be dev or prod", "must be an IPv4 block"]),
        (
            "foundation",
            {
                "secret_versions": {"database/ulr": 2},
                "public_subnets": False,
                "database_backup_retention_period": 0,
            },
            [
                "names an unknown secret",
                "requires public_subnets",
                "without backups is not allowed",
            ],
        ),
        (
            "services",
            {
                "hosts": {"mlflow": "mlflow.example.org"},
                "ingress_cidr_blocks": ["everybody"],
                "domain_name": "nowhere",
                "images": dict.fromkeys(["base", "deposit", "airflow", "grafana"], "example/image:latest"),
            },
            [
                "which has no login",
                "must be IPv4 blocks",
                "a name like api.example.org",
                "images must name digests, not tags",
            ],
        ),
        (
            "services",
            {"settings": {"AWS_PROFILE": "x"}, "autoscaling_max_capacity": 0, "front_reserved_concurrency": -1},
            ["must be named DEPOSIT_*", "must not be less than autoscaling_min_capacity", "runs out of connections"],
        ),
    ],
)
def test_wrong_variables_are_refused_with_their_reasons(
    applied: Applied, state: str, wrong: dict[str, Any], reasons: list[str]
) -> None:
    (applied.terraform.folder / state / "wrong.tfvars.json").write_text(json.dumps(wrong))
    arguments = ["plan", "-input=false", "-no-color", "-refresh=false", *applied.variables[state]]
    refused = applied.terraform.run(state, *arguments, "-var-file=wrong.tfvars.json", codes=(1,))
    text = " ".join(refused.stderr.replace("│", " ").split())
    assert [reason for reason in reasons if reason not in text] == []


def test_prod_is_guarded(applied: Applied) -> None:
    folder = applied.terraform.folder
    arguments = ["-input=false", "-no-color", "-var-file=prod.tfvars"]
    applied.terraform.init_state("foundation", "prod.tfstate")
    try:
        applied.terraform.run("foundation", "plan", *arguments, f"-out={folder}/prod.plan")
        shown = json.loads(applied.terraform.run("foundation", "show", "-json", f"{folder}/prod.plan").stdout)
        # the guard alone: of all that prod would be, one thing that cannot be destroyed
        applied.terraform.run("foundation", "apply", "-auto-approve", *arguments, "-target=terraform_data.guard[0]")
        refused = applied.terraform.run("foundation", "destroy", "-auto-approve", *arguments, codes=(1,))
    finally:
        applied.terraform.init_state("foundation", "foundation.tfstate")
    planned = {each["address"]: each["change"]["after"] for each in shown["resource_changes"]}
    database = planned["module.database.aws_db_instance.this"]
    assert (database["deletion_protection"], database["skip_final_snapshot"], database["multi_az"]) == (
        True,
        False,
        True,
    )
    assert database["final_snapshot_identifier"] == "deposit-prod-final"
    assert not any("nat_gateway" in address or "internet_gateway" in address for address in planned)
    assert not planned["module.data.aws_s3_bucket.this"]["force_destroy"]
    assert "terraform_data.guard" in refused.stderr


def test_services_of_prod_can_be_planned(applied: Applied) -> None:
    arguments = [
        "-input=false",
        "-no-color",
        "-detailed-exitcode",
        "-var-file=prod.tfvars",
        "-var-file=account.tfvars.json",
    ]
    planned = applied.terraform.run("services", "plan", *arguments, codes=(CHANGES,))
    assert "internal" in planned.stdout
