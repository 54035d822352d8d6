"""Client of one ECS service, its tasks and its task definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deposit.aws_errors import code_of
from deposit.errors import ConfigError, ReleaseError
from deposit.release.aws import answered, aws_client
from deposit.release.targets.taskdefinition import PORT, Definition, family_of, release_of, tags_of, why_stopped
from deposit.sections import ReleaseSettings


@dataclass(frozen=True)
class RegisteredDefinition:
    """A registered task definition, which is immutable, with its tags."""

    content: Definition
    tags: Mapping[str, str]

    @property
    def arn(self) -> str:
        """ARN with the revision."""
        return str(self.content["taskDefinitionArn"])

    @property
    def release_id(self) -> int | None:
        """Release of the definition; None for one of Terraform's."""
        return release_of(self.tags)


@dataclass(frozen=True)
class TrialTask:
    """A task without traffic, in which a release is tested."""

    content: Mapping[str, Any]
    release_id: int

    @property
    def arn(self) -> str:
        """ARN of the task."""
        return str(self.content["taskArn"])

    @property
    def address(self) -> str | None:
        """Address `host:port` in the network of the service; None until it is assigned."""
        for attachment in self.content.get("attachments", []):
            for detail in attachment.get("details", []):
                if detail["name"] == "privateIPv4Address":
                    return f"{detail['value']}:{PORT}"
        return None

    @property
    def has_stopped(self) -> bool:
        """Whether the task has stopped."""
        return bool(self.content["lastStatus"] == "STOPPED")

    @property
    def why_stopped(self) -> str:
        """Why the task has stopped, in one line."""
        return why_stopped(self.content)


class EcsService:
    """The service of the settings. Raises ReleaseError if AWS rejects a request, UpstreamError if it is down."""

    def __init__(self, rules: ReleaseSettings, region: str) -> None:
        for name in ("ecs_cluster", "ecs_service", "ecs_url"):
            if not getattr(rules, name):
                raise ConfigError(f"the release target `ecs` needs DEPOSIT_RELEASE__{name.upper()}")
        self._cluster, self._name, self._region = rules.ecs_cluster, rules.ecs_service, region
        self._client = aws_client("ecs", self._region)
        self._described: dict[str, RegisteredDefinition] = {}

    @property
    def accepted(self) -> list[str]:
        """Fields of a task definition that can be registered."""
        return list(self._client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members)

    def describe(self) -> dict[str, Any]:
        """Describe the service. Raises ReleaseError naming the setting if it does not exist."""
        try:
            with answered(f"describe the ECS service {self._name}"):
                response = self._client.describe_services(cluster=self._cluster, services=[self._name])
        except ReleaseError as error:
            if isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == "ClusterNotFoundException":
                raise ReleaseError(
                    f"there is no ECS cluster {self._cluster} in {self._region}: apply terraform/services, or correct "
                    "DEPOSIT_RELEASE__ECS_CLUSTER and DEPOSIT_STORE__REGION"
                ) from error
            raise
        services = [service for service in response["services"] if service["status"] == "ACTIVE"]
        if not services:
            raise ReleaseError(
                f"there is no ECS service {self._name} in the cluster {self._cluster} in {self._region}: apply "
                "terraform/services, or correct DEPOSIT_RELEASE__ECS_SERVICE"
            )
        service: dict[str, Any] = services[0]
        return service

    def current(self) -> RegisteredDefinition:
        """Return the task definition of the service."""
        return self.definition(self.describe()["taskDefinition"])

    def serving(self) -> int | None:
        """Return the release that the service runs; None if it runs none, or its desired count is 0."""
        service = self.describe()
        return self.definition(service["taskDefinition"]).release_id if service["desiredCount"] else None

    def definition(self, arn: str) -> RegisteredDefinition:
        """Return a task definition with its tags, from a cache if possible."""
        if arn not in self._described:
            with answered(f"describe the task definition {arn}"):
                response = self._client.describe_task_definition(taskDefinition=arn, include=["TAGS"])
            tags = tags_of(response.get("tags", []))
            self._described[arn] = RegisteredDefinition(response["taskDefinition"], tags)
        return self._described[arn]

    def definitions(self) -> list[RegisteredDefinition]:
        """Return all active revisions of the service's family, newest first."""
        family = family_of(self.describe()["taskDefinition"])
        with answered(f"list the task definitions of {family}"):
            pages = self._client.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
            arns = [arn for page in pages for arn in page["taskDefinitionArns"] if family_of(arn) == family]
        return [self.definition(arn) for arn in sorted(arns, key=_revision, reverse=True)]

    def register(self, content: Mapping[str, Any], tags: list[dict[str, str]]) -> RegisteredDefinition:
        """Register a new revision."""
        with answered(f"register a task definition of {content['family']}"):
            response = self._client.register_task_definition(**content, tags=tags)
        return self.definition(response["taskDefinition"]["taskDefinitionArn"])

    def deregister(self, arn: str) -> None:
        """Deregister a task definition: no new task can use it, and running tasks continue."""
        with answered(f"deregister the task definition {arn}"):
            self._client.deregister_task_definition(taskDefinition=arn)

    def run_trial(self, definition: RegisteredDefinition) -> str:
        """Start a task of a release's definition in the network of the service, and return its ARN."""
        service = self.describe()
        launch = (
            {"capacityProviderStrategy": service["capacityProviderStrategy"]}
            if service.get("capacityProviderStrategy")
            else {"launchType": service.get("launchType", "FARGATE")}
        )
        with answered(f"run a task of {definition.arn}"):
            response = self._client.run_task(
                cluster=self._cluster,
                taskDefinition=definition.arn,
                count=1,
                startedBy=_starter(definition.release_id),
                networkConfiguration=service["networkConfiguration"],
                **launch,
            )
        if not response["tasks"]:
            failures = (f"{each.get('reason')} {each.get('detail', '')}".strip() for each in response["failures"])
            raise ReleaseError(f"ECS starts no task of {definition.arn}: {'; '.join(failures) or 'it gives no reason'}")
        return str(response["tasks"][0]["taskArn"])

    def trial(self, arn: str, release_id: int) -> TrialTask | None:
        """Return the trial task of a release by its ARN; None until ECS describes it (eventual consistency)."""
        with answered(f"describe the task {arn}"):
            tasks = self._client.describe_tasks(cluster=self._cluster, tasks=[arn])["tasks"]
        return TrialTask(tasks[0], release_id) if tasks else None

    def trials(self, release_id: int | None = None, status: str = "RUNNING") -> list[TrialTask]:
        """Return the trial tasks of a release, or of all releases; `status` as for `tasks`."""
        trials = []
        for task in self.tasks(status):
            own = self.definition(task["taskDefinitionArn"]).release_id
            if own is not None and release_id in (None, own) and task.get("startedBy") == _starter(own):
                trials.append(TrialTask(task, own))
        return trials

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """Return the tasks of the service's family with a desired status; `STOPPED` are those of the last hour."""
        family = family_of(self.describe()["taskDefinition"])
        tasks: list[dict[str, Any]] = []
        with answered(f"list the tasks of {family}"):
            pages = self._client.get_paginator("list_tasks").paginate(
                cluster=self._cluster, family=family, desiredStatus=status
            )
            for page in pages:
                if page["taskArns"]:
                    response = self._client.describe_tasks(cluster=self._cluster, tasks=page["taskArns"])
                    tasks += response["tasks"]
        return tasks

    def stop_task(self, arn: str, reason: str) -> None:
        """Stop a task."""
        with answered(f"stop the task {arn}"):
            self._client.stop_task(cluster=self._cluster, task=arn, reason=reason)

    def update(self, definition: str | None, count: int | None) -> dict[str, Any]:
        """Start a deployment and return the updated service. None leaves the definition or desired count unchanged."""
        changes = {"taskDefinition": definition, "desiredCount": count}
        with answered(f"update the ECS service {self._name}"):
            response = self._client.update_service(
                cluster=self._cluster,
                service=self._name,
                **{name: value for name, value in changes.items() if value is not None},
            )
        service: dict[str, Any] = response["service"]
        return service

    def why_failed(self, definition: str) -> str:
        """Return the distinct reasons why tasks of a definition stopped in the last hour; empty if none did."""
        stopped = [task for task in self.tasks(status="STOPPED") if task["taskDefinitionArn"] == definition]
        return "; ".join(dict.fromkeys(why_stopped(task) for task in stopped))


def _starter(release_id: int | None) -> str:
    return f"deposit-release-{release_id}"


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])
