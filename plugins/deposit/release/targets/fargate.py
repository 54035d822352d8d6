"""One service of the ECS and its tasks, by AWS's API."""

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
    """A task definition, which never changes, with its tags."""

    content: Definition
    tags: Mapping[str, str]

    @property
    def arn(self) -> str:
        """With its revision."""
        return str(self.content["taskDefinitionArn"])

    @property
    def release_id(self) -> int | None:
        """None for one of Terraform's."""
        return release_of(self.tags)


@dataclass(frozen=True)
class TrialTask:
    """A task that nothing sends requests to, in which a release is tested."""

    content: Mapping[str, Any]
    release_id: int

    @property
    def arn(self) -> str:
        """Of the task."""
        return str(self.content["taskArn"])

    @property
    def address(self) -> str | None:
        """`host:port` in the service's network; None as long as it has none."""
        for attachment in self.content.get("attachments", []):
            for detail in attachment.get("details", []):
                if detail["name"] == "privateIPv4Address":
                    return f"{detail['value']}:{PORT}"
        return None

    @property
    def has_stopped(self) -> bool:
        """Whether it has ended."""
        return bool(self.content["lastStatus"] == "STOPPED")

    @property
    def why_stopped(self) -> str:
        """One sentence."""
        return why_stopped(self.content)


class EcsService:
    """The service that the settings name. Raises ReleaseError for what AWS refuses, UpstreamError if it is silent."""

    def __init__(self, rules: ReleaseSettings, region: str) -> None:
        for name in ("ecs_cluster", "ecs_service", "ecs_url"):
            if not getattr(rules, name):
                raise ConfigError(f"the release target `ecs` needs DEPOSIT_RELEASE__{name.upper()}")
        self._cluster, self._name, self._region = rules.ecs_cluster, rules.ecs_service, region
        self._client = aws_client("ecs", self._region)
        self._described: dict[str, RegisteredDefinition] = {}

    @property
    def accepted(self) -> list[str]:
        """The fields that may be registered of a task definition."""
        return list(self._client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members)

    def describe(self) -> dict[str, Any]:
        """The service. Raises ReleaseError that names the setting if there is none."""
        try:
            with answered(f"look at the ECS service {self._name}"):
                answer = self._client.describe_services(cluster=self._cluster, services=[self._name])
        except ReleaseError as error:
            if isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == "ClusterNotFoundException":
                raise ReleaseError(
                    f"there is no ECS cluster {self._cluster} in {self._region}: apply terraform/services, or correct "
                    "DEPOSIT_RELEASE__ECS_CLUSTER and DEPOSIT_STORE__REGION"
                ) from error
            raise
        services = [service for service in answer["services"] if service["status"] == "ACTIVE"]
        if not services:
            raise ReleaseError(
                f"there is no ECS service {self._name} in the cluster {self._cluster} in {self._region}: apply "
                "terraform/services, or correct DEPOSIT_RELEASE__ECS_SERVICE"
            )
        service: dict[str, Any] = services[0]
        return service

    def current(self) -> RegisteredDefinition:
        """The task definition that the service is to run."""
        return self.definition(self.describe()["taskDefinition"])

    def serving(self) -> int | None:
        """The release that the service has, with tasks to serve it; None if there is none."""
        service = self.describe()
        return self.definition(service["taskDefinition"]).release_id if service["desiredCount"] else None

    def definition(self, arn: str) -> RegisteredDefinition:
        """One task definition with its tags."""
        if arn not in self._described:
            with answered(f"look at the task definition {arn}"):
                answer = self._client.describe_task_definition(taskDefinition=arn, include=["TAGS"])
            tags = tags_of(answer.get("tags", []))
            self._described[arn] = RegisteredDefinition(answer["taskDefinition"], tags)
        return self._described[arn]

    def definitions(self) -> list[RegisteredDefinition]:
        """All active revisions of the service's family, newest first."""
        family = family_of(self.describe()["taskDefinition"])
        with answered(f"list the task definitions of {family}"):
            pages = self._client.get_paginator("list_task_definitions").paginate(familyPrefix=family, status="ACTIVE")
            arns = [arn for page in pages for arn in page["taskDefinitionArns"] if family_of(arn) == family]
        return [self.definition(arn) for arn in sorted(arns, key=_revision, reverse=True)]

    def register(self, content: Mapping[str, Any], tags: list[dict[str, str]]) -> RegisteredDefinition:
        """A new revision."""
        with answered(f"register a task definition of {content['family']}"):
            answer = self._client.register_task_definition(**content, tags=tags)
        return self.definition(answer["taskDefinition"]["taskDefinitionArn"])

    def deregister(self, arn: str) -> None:
        """No task is started of it from now on; what runs goes on."""
        with answered(f"deregister the task definition {arn}"):
            self._client.deregister_task_definition(taskDefinition=arn)

    def run_trial(self, definition: RegisteredDefinition) -> str:
        """Ask for one task of a release's definition beside the service's own, in the same network; its ARN."""
        service = self.describe()
        place = (
            {"capacityProviderStrategy": service["capacityProviderStrategy"]}
            if service.get("capacityProviderStrategy")
            else {"launchType": service.get("launchType", "FARGATE")}
        )
        with answered(f"run a task of {definition.arn}"):
            answer = self._client.run_task(
                cluster=self._cluster,
                taskDefinition=definition.arn,
                count=1,
                startedBy=_starter(definition.release_id),
                networkConfiguration=service["networkConfiguration"],
                **place,
            )
        if not answer["tasks"]:
            reasons = "; ".join(f"{each.get('reason')} {each.get('detail', '')}".strip() for each in answer["failures"])
            raise ReleaseError(f"the ECS starts no task of {definition.arn}: {reasons or 'it says nothing'}")
        return str(answer["tasks"][0]["taskArn"])

    def trial(self, arn: str, release_id: int) -> TrialTask | None:
        """The test of a release by its ARN; None as long as the ECS does not show it: lists and descriptions lag."""
        with answered(f"look at the task {arn}"):
            tasks = self._client.describe_tasks(cluster=self._cluster, tasks=[arn])["tasks"]
        return TrialTask(tasks[0], release_id) if tasks else None

    def trials(self, release_id: int | None = None, status: str = "RUNNING") -> list[TrialTask]:
        """Tests of a release, or of all: those that are to run, or with `STOPPED` those that ended in the last hour."""
        trials = []
        for task in self.tasks(status):
            own = self.definition(task["taskDefinitionArn"]).release_id
            if own is not None and release_id in (None, own) and task.get("startedBy") == _starter(own):
                trials.append(TrialTask(task, own))
        return trials

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """Tasks of the family that are to run, or with `STOPPED` those that ended in the last hour."""
        family = family_of(self.describe()["taskDefinition"])
        tasks: list[dict[str, Any]] = []
        with answered(f"list the tasks of {family}"):
            pages = self._client.get_paginator("list_tasks").paginate(
                cluster=self._cluster, family=family, desiredStatus=status
            )
            for page in pages:
                if page["taskArns"]:
                    answer = self._client.describe_tasks(cluster=self._cluster, tasks=page["taskArns"])
                    tasks += answer["tasks"]
        return tasks

    def stop_task(self, arn: str, reason: str) -> None:
        """Let a task end."""
        with answered(f"stop the task {arn}"):
            self._client.stop_task(cluster=self._cluster, task=arn, reason=reason)

    def update(self, definition: str | None, count: int | None) -> dict[str, Any]:
        """Begin a deployment; the service as it is then. None leaves what it has."""
        changes = {"taskDefinition": definition, "desiredCount": count}
        with answered(f"update the ECS service {self._name}"):
            answer = self._client.update_service(
                cluster=self._cluster,
                service=self._name,
                **{name: value for name, value in changes.items() if value is not None},
            )
        service: dict[str, Any] = answer["service"]
        return service

    def why_failed(self, definition: str) -> str:
        """What ended the tasks of a definition lately, each reason once; empty if none ended."""
        stopped = [task for task in self.tasks(status="STOPPED") if task["taskDefinitionArn"] == definition]
        return "; ".join(dict.fromkeys(why_stopped(task) for task in stopped))


def _starter(release_id: int | None) -> str:
    return f"deposit-release-{release_id}"


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])
