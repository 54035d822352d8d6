"""From the states that Terraform made to a served champion and back: the product's own code, by settings alone."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from fargate_host import FargateHost
from lambda_host import LambdaHost
from mlflowserver import mlflow_server
from registry_server import Registry
from released import WAIT, release, releasing, until
from secured import tls_in_front, write_authority, write_server
from simulated_aws.server import ACCOUNT, REGION, SimulatedAws
from sqlalchemy.engine import make_url
from terraformed import NO_CHANGE, STATES, Applied

from deposit import keys, loop
from deposit.data.ingest import ingest
from deposit.database import connect, migrate
from deposit.release import requests
from deposit.sections import DatabaseSettings
from deposit.selection.selection import promote
from deposit.settings import Settings, load_settings
from deposit.training import training
from deposit.training.recipes import RECIPES

pytest.importorskip("awslambdaric", reason="AWS's client has no wheel for this system")
pytestmark = pytest.mark.timeout(1500)
Set = Callable[..., Settings]


@pytest.fixture
def account(applied: Applied, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Set]:
    """Settings as `terraform output -raw settings` prints them, but for what is played."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DEPOSIT_"))]:
        monkeypatch.delenv(name)
    printed = dict(line.split("=", 1) for line in applied.outputs["services"]["settings"].splitlines())
    base = "deposit-dev/serving"
    registry.put_image(base, "base")
    own = {
        "DEPOSIT_STATE_DIR": str(tmp_path / "state"),
        "DEPOSIT_RELEASE__REGISTRY_URL": registry.url,
        "DEPOSIT_RELEASE__BASE_IMAGE": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{base}:base",
        "DEPOSIT_RELEASE__SERVICE_KEY_SECRET": "deposit-dev/api/releaser-key",
        "DEPOSIT_RELEASE__POLL_SECONDS": "0.2",
        "DEPOSIT_RELEASE__DRAIN_SECONDS": "0",
        "DEPOSIT_TRAIN__TRIALS": "2",
        "DEPOSIT_TRAIN__BOOTSTRAP": "100",
    }
    (tmp_path / "state").mkdir()
    # what stands is tested here, and not what the table of recipes makes of the data
    monkeypatch.setattr(training, "RECIPES", RECIPES[:2])

    def given(**variables: str) -> Settings:
        for name, value in {**printed, **applied.aws.environment, **own, **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        return load_settings()

    return given


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Of the authority that vouches for the database, as RDS's."""
    return tmp_path / "rds.pem"


@pytest.fixture
def prepared(applied: Applied, make_database: Callable[[], str], bundle: Path) -> Iterator[Callable[[], None]]:
    """Makes a real PostgreSQL with the schema, behind TLS, what the secrets of RDS lead to."""
    certificate, key = write_server("RDS", write_authority("RDS", bundle), bundle.parent)
    with ExitStack() as running:

        def prepare() -> None:
            url = make_url(make_database())
            engine = connect(DatabaseSettings(url=url.render_as_string(hide_password=False)))  # type: ignore[arg-type]
            migrate(engine)
            engine.dispose()
            port = running.enter_context(tls_in_front(url.port or 0, certificate, key))
            secured = url.set(drivername="postgresql", port=port).render_as_string(hide_password=False)
            secrets = applied.aws.client("secretsmanager")
            for name in ("url", "writer-url"):
                secrets.put_secret_value(SecretId=f"deposit-dev/database/{name}", SecretString=secured)

        yield prepare


@contextmanager
def served_by_mlflow(applied: Applied, port: int, folder: Path) -> Iterator[str]:
    bucket = next(name for name in _buckets(applied) if name.endswith("-mlflow"))
    environment = {**os.environ, **applied.aws.environment}
    with mlflow_server(
        port, folder / "mlflow.log", f"sqlite:///{folder}/mlflow.db", f"s3://{bucket}", environment
    ) as uri:
        yield uri


def _buckets(applied: Applied) -> list[str]:
    return [each["Name"] for each in applied.aws.client("s3").list_buckets()["Buckets"]]


def _objects(aws: SimulatedAws, bucket: str) -> int:
    return int(aws.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"])


def _secret(aws: SimulatedAws, name: str) -> str:
    return str(aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def _predicted(url: str, key: str, customers: Sequence[dict[str, Any]]) -> tuple[str, list[float]]:
    """The model that answers there, and its probabilities."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(
        f"{url}/predict", json={"customers": customers}, headers=headers, trust_env=False, timeout=60
    ).raise_for_status()
    content = json.loads(answer.content)
    return content["model"], [each["probability"] for each in content["predictions"]]


def test_ingest_train_release_and_roll_back_on_ecs_then_release_on_lambda_and_nothing_is_left_to_apply(
    applied: Applied,
    registry: Registry,
    account: Set,
    prepared: Callable[[], None],
    bundle: Path,
    free_ports: Callable[[int], int],
    customers: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    aws, balancer = applied.aws, free_ports(1)
    database = {
        "DEPOSIT_DATABASE__URL_SECRET": "deposit-dev/database/url",
        "DEPOSIT_DATABASE__WRITER_URL_SECRET": "deposit-dev/database/writer-url",
        "DEPOSIT_DATABASE__CA_FILE": str(bundle),
    }
    played = {**aws.environment, "DEPOSIT_DATABASE__CA_FILE": str(bundle)}
    ecs = FargateHost(aws, registry, "deposit-dev", "deposit-dev-serving", tmp_path / "fargate", environment=played)
    ecs.folder.mkdir()
    prepared()
    with served_by_mlflow(applied, free_ports(1), tmp_path) as tracking, ecs.running(balancer):
        mlflow = {"DEPOSIT_MLFLOW__TRACKING_URI": tracking}
        settings = account(
            **database, **mlflow, DEPOSIT_RELEASE__TARGET="ecs", DEPOSIT_RELEASE__ECS_URL=ecs.url,
            DEPOSIT_RELEASE__ECS_TIMEOUT="60",
        )  # fmt: skip
        place = str(settings.serve.keys_secret_id)
        keys.admit(place, "releaser", _secret(aws, "deposit-dev/api/releaser-key"), ["admin"])
        (_, key), (_, revoked) = (keys.add(place, name, ["predict"]) for name in ("marketing", "leaver"))

        ingested = ingest(settings)
        assert ingested.rows == 41188
        assert _objects(aws, settings.store.data_bucket) > 26
        first = loop.challenge(settings, loop.train(settings).run_id)
        assert first.is_champion
        second = loop.challenge(settings, loop.train(settings.changed("train", seed=8)).run_id)
        assert _objects(aws, settings.store.mlflow_bucket) > 10

        with releasing(settings):
            promote(settings, first.model_id)
            release(settings, first.model_id)
            on_ecs = _predicted(ecs.url, key, customers[:50])
            assert on_ecs[0] == _predicted(ecs.url, revoked, customers[:1])[0] == first.model_id
            keys.remove(place, "leaver")
            release(settings, second.model_id)
            assert _predicted(ecs.url, key, customers[:1])[0] == second.model_id
            with pytest.raises(httpx.HTTPStatusError, match="401"):
                _predicted(ecs.url, revoked, customers[:1])
            requests.wait(settings.database, requests.request_rollback(settings.database).id, WAIT)
            assert _predicted(ecs.url, key, customers[:50]) == on_ecs
            service = aws.client("ecs").describe_services(cluster="deposit-dev", services=["deposit-dev-serving"])
            definition = service["services"][0]["taskDefinition"]
            until(
                lambda: aws.client("ecs").list_tasks(cluster="deposit-dev", desiredStatus="RUNNING")["taskArns"] == []
            )
        described = aws.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
        (container,) = [each for each in described["containerDefinitions"] if each["name"] == "service"]
        assert container["image"].startswith(f"{settings.release.ecr_repository}@sha256:")

        front = LambdaHost(aws, registry, "deposit-dev-front", tmp_path / "lambda", environment=played)
        front.folder.mkdir()
        # a function has a releases table of its own: one releaser has one target
        prepared()
        with front.running():
            settings = account(
                **database, **mlflow, DEPOSIT_RELEASE__TARGET="lambda", DEPOSIT_RELEASE__LAMBDA_URL=front.url,
                AWS_ENDPOINT_URL_LAMBDA=front.endpoint,
            )  # fmt: skip
            with releasing(settings):
                release(settings, first.model_id)
                model_id, probabilities = _predicted(front.url, key, customers[:50])
        assert model_id == first.model_id
        assert probabilities == pytest.approx(on_ecs[1], abs=1e-6)
        live = aws.client("lambda").get_function(FunctionName="deposit-dev-front", Qualifier="live")
        assert live["Code"]["ImageUri"].startswith(f"{settings.release.ecr_repository}@sha256:")

    for state in STATES:
        planned = applied.plan(state)
        assert planned.returncode == NO_CHANGE, planned.stdout
