"""S3 without an endpoint, by the simulated account: regions, keys, rights, and what MLflow's server writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from mlflowserver import mlflow_server
from simulated_aws.server import REGION, SimulatedAws

from deposit.deploy.compose.mlflow import variables
from deposit.deploy.compose.preparation import prepare_aws
from deposit.errors import ConfigError, UpstreamError
from deposit.registry import tracking
from deposit.sections import DatabaseSettings, StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers
NAMES = ("data", "mlflow", "bentos", "reports", "logs")
BUCKETS = {f"{name}_bucket": f"deposit-test-123456789012-{name}" for name in NAMES}


@pytest.fixture
def aws(simulated_aws: SimulatedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedAws]:
    """An empty account that the environment leads to."""
    for name, value in simulated_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield simulated_aws
    simulated_aws.reset()


def settings_of(**values: Any) -> StoreSettings:
    return StoreSettings.model_validate({"region": REGION, **BUCKETS, **values})


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_buckets_are_made_in_the_region_that_is_set(aws: SimulatedAws, region: str) -> None:
    store = ObjectStore(settings_of(region=region))
    store.ensure_buckets()
    store.ensure_buckets()
    client = aws.client("s3")
    assert {each["Name"] for each in client.list_buckets()["Buckets"]} == set(BUCKETS.values())
    location = client.get_bucket_location(Bucket=BUCKETS["data_bucket"])["LocationConstraint"]
    assert location == (None if region == "us-east-1" else region)


def test_what_is_written_is_encrypted_with_the_key(aws: SimulatedAws, tmp_path: Path) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    store = ObjectStore(settings_of(kms_key=key))
    store.ensure_buckets()
    (tmp_path / "file").write_bytes(b"x" * 9 * 2**20)  # in parts
    store.data.put("put", b"x")
    assert store.data.put_if_absent("absent", b"x")
    store.data.upload(tmp_path / "file", "upload")
    for name in ("put", "absent", "upload"):
        head = aws.client("s3").head_object(Bucket=BUCKETS["data_bucket"], Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key), name
    assert store.data.get("put") == b"x"


def policy(aws: SimulatedAws, name: str, *actions: str) -> dict[str, str]:
    """Keys of a user who may do this with our buckets and no more."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    resources = ",".join(f'"arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"' for bucket in BUCKETS.values())
    allowed = ",".join(f'"{action}"' for action in actions)
    document = (
        f'{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{allowed}],"Resource":[{resources}]}}]}}'
    )
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key": made["AccessKeyId"], "secret_key": made["SecretAccessKey"]}


@pytest.fixture
def guarded(aws: SimulatedAws) -> Iterator[dict[str, dict[str, str]]]:
    """Keys of two users, in an account that checks every request from now on."""
    ObjectStore(settings_of()).ensure_buckets()
    users = {
        "lister": policy(aws, "lister", "s3:ListBucket"),
        "reader": policy(aws, "reader", "s3:ListBucket", "s3:GetObject"),
    }
    httpx.post(f"{aws.url}/moto-api/reset-auth", content=b"0", timeout=60).raise_for_status()
    yield users
    httpx.post(f"{aws.url}/moto-api/reset-auth", content=b"1000000000", timeout=60).raise_for_status()


def test_where_buckets_are_made_by_others_to_list_each_is_enough(guarded: dict[str, dict[str, str]]) -> None:
    store = ObjectStore(settings_of(**guarded["lister"]), retries=1)
    store.ensure_buckets()
    with pytest.raises(UpstreamError, match=r"access to deposit-test-123456789012-data is denied.*STORE__DATA_BUCKET"):
        store.data.put("key", b"x")


def test_a_bucket_that_is_missing_is_not_half_made(guarded: dict[str, dict[str, str]], aws: SimulatedAws) -> None:
    missing = settings_of(**guarded["reader"], reports_bucket="deposit-test-missing")
    with pytest.raises(UpstreamError, match=r"deposit-test-missing is denied.*DEPOSIT_STORE__REPORTS_BUCKET"):
        ObjectStore(missing, retries=1).ensure_buckets()


@pytest.mark.parametrize(("change", "code"), [("access_key", "InvalidAccessKeyId"), ("secret_key", "SignatureDoesNot")])
def test_wrong_keys_are_named(guarded: dict[str, dict[str, str]], change: str, code: str) -> None:
    wrong = settings_of(**(guarded["reader"] | {change: "AKIAIOSFODNN7EXAMPLE"}))
    with pytest.raises(UpstreamError, match=rf"\({code}.*correct DEPOSIT_STORE__ACCESS_KEY and"):
        ObjectStore(wrong, retries=1).data.keys()


def test_the_preparation_makes_nothing_of_s3_before_rds_is_ready(aws: SimulatedAws) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_DATABASE__ADMIN_URL is not set"):
        prepare_aws(DatabaseSettings(), settings_of())
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_mlflows_server_writes_with_the_key_and_without_an_endpoint(
    aws: SimulatedAws, free_ports: Any, tmp_path: Path
) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    store = settings_of(kms_key=key)
    ObjectStore(store).ensure_buckets()
    bucket = store.mlflow_bucket
    environment = {
        "PATH": "/usr/bin:/bin",
        **aws.environment,
        **variables(store, Settings().database),
    }
    backend = f"sqlite:///{tmp_path}/mlflow.db"
    with mlflow_server(free_ports(1), tmp_path / "log", backend, f"s3://{bucket}", environment) as uri:
        client = tracking.connect(uri)
        run = client.create_run(client.create_experiment("keyed")).info.run_id
        client.log_text(run, "text", "note.txt")
    (entry,) = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    head = aws.client("s3").head_object(Bucket=bucket, Key=entry["Key"])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
