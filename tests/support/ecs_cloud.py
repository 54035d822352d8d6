"""Pytest plugin: a simulated account with a service on the ECS, a registry, and who plays Fargate there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from fargate_host import FargateHost, make_service
from registry_server import BASE, HOST, Registry
from simulated_aws.server import REGION, SimulatedAws, running

if TYPE_CHECKING:
    from deposit.sections import DatabaseSettings, StoreSettings
    from deposit.settings import Settings


@pytest.fixture(scope="session")
def ecs_account(free_ports: Callable[[int], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedAws]:
    """An account of its own: its tasks stay as they are until somebody ends them."""
    with running(free_ports(1), tmp_path_factory.mktemp("aws") / "log") as aws:
        yield aws


@dataclass
class Cloud:
    """Settings of a releaser, the simulated account, and who plays Fargate there."""

    settings: "Settings"
    aws: SimulatedAws
    host: FargateHost

    def look_on_as(self, key: Mapping[str, str]) -> None:
        """Whose rights this class and Fargate have from now on."""
        self.aws = replace(self.aws, environment={**self.aws.environment, **key})
        self.host.use(self.aws)

    @property
    def service(self) -> dict[str, Any]:
        """As AWS describes it."""
        names = self.settings.release
        answer = self.aws.client("ecs").describe_services(cluster=names.ecs_cluster, services=[names.ecs_service])
        service: dict[str, Any] = answer["services"][0]
        return service

    def replace_tasks_in_turn(self, environment: pytest.MonkeyPatch) -> None:
        """From now on tasks are replaced as the ECS does it, each with a shipper that ships at its end alone."""
        from deposit.release.targets.fargate import EcsService

        url = self.settings.database.url
        assert url is not None
        self.host.shipper = {
            "DEPOSIT_DATABASE__WRITER_URL": url.get_secret_value(),
            "DEPOSIT_LOG__POLL_SECONDS": "3600",
            "DEPOSIT_LOG__STOP_SECONDS": "30",
        }
        describe = EcsService.describe

        def described(service: EcsService) -> dict[str, Any]:
            # moto's deployments have ended when the call returns
            answer = describe(service)
            if answer["desiredCount"] and not self.host.is_rolled_out(answer["taskDefinition"]):
                answer["deployments"] = [{**each, "rolloutState": "IN_PROGRESS"} for each in answer["deployments"]]
            return answer

        environment.setattr(EcsService, "describe", described)

    def definition(self, arn: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The container `service` of a definition, and the definition's tags."""
        answer = self.aws.client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
        (container,) = [each for each in answer["taskDefinition"]["containerDefinitions"] if each["name"] == "service"]
        return container, {tag["key"]: tag["value"] for tag in answer["tags"]}

    def stored(self) -> dict[str, str]:
        """Model of each prediction in PostgreSQL, by its id."""
        from sqlalchemy import text

        from deposit.database import connect

        engine = connect(self.settings.database)
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT prediction_id, model_id FROM predictions")).all()
        engine.dispose()
        return {str(prediction_id): model_id for prediction_id, model_id in rows}

    def active(self) -> list[str]:
        """Revisions of the family."""
        family = self.settings.release.ecs_service
        arns = self.aws.client("ecs").list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"]
        return list(arns)

    def tasks(self) -> list[str]:
        """That are to run."""
        tasks = self.aws.client("ecs").list_tasks(cluster=self.settings.release.ecs_cluster, desiredStatus="RUNNING")
        return list(tasks["taskArns"])

    def served(self) -> str:
        """The model that the load balancer leads to."""
        response = httpx.get(f"{self.host.url}/models", trust_env=False, timeout=60)
        return str(response.json()["models"][0]["model_id"]) if response.is_success else ""


@pytest.fixture
def cloud(
    ecs_account: SimulatedAws,
    registry: Registry,
    database: "DatabaseSettings",
    object_store: "StoreSettings",
    free_ports: Callable[[int], int],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Cloud]:
    """An account with the service that Terraform makes, nothing released; this process's AWS is that account."""
    from deposit.sections import MlflowSettings, ReleaseSettings
    from deposit.settings import Settings

    aws = ecs_account
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    registry.put_image("deposit/base", "1")
    name = request.node.name.replace("test_", "")[:20].replace("_", "-")
    port = free_ports(1)
    names = make_service(aws, name, BASE)
    host = FargateHost(aws, registry, names["ecs_cluster"], names["ecs_service"], tmp_path / "fargate")
    host.folder.mkdir()
    settings = Settings(
        state_dir=tmp_path / "state",
        database=database,
        store=object_store.model_copy(update={"region": REGION}),
        mlflow=MlflowSettings(tracking_uri=f"http://127.0.0.1:{free_ports(1)}"),
        release=ReleaseSettings(
            target="ecs",
            **names,
            ecs_url=f"http://127.0.0.1:{port}",
            ecr_repository=f"{HOST}/deposit/{name}",
            base_image=BASE,
            registry_url=registry.url,
            poll_seconds=0.2,
            drain_seconds=0,
            ecs_timeout=180,
            start_timeout=180,
        ),
    )
    settings.state_dir.mkdir()
    with host.running(port):
        yield Cloud(settings, aws, host)
