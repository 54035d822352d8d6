"""Traffic of target `ecs`: a load balancer in front of one ECS service, whose tasks a release replaces."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deposit.errors import ReleaseError
from deposit.files import beat
from deposit.release.repository import Release
from deposit.release.targets.fargate import EcsService
from deposit.release.targets.taskdefinition import Rollout, deployment_of, rollout_of
from deposit.sections import ReleaseSettings
from deposit.waiting import wait_until


class EcsTraffic:
    """Switches traffic by updating the task definition of the service; ECS replaces its tasks one by one."""

    def __init__(self, rules: ReleaseSettings, service: EcsService, heartbeat_file: Path | None) -> None:
        self._rules = rules
        self._heartbeat_file = heartbeat_file
        self._service = service

    def repair(self) -> bool:
        """Do nothing: Terraform manages the load balancer."""
        return False

    def upstream(self) -> tuple[str, ...]:
        """Return the URL of the load balancer, if the service runs a release and its desired count is not 0."""
        return () if self._service.serving() is None else (self._rules.ecs_url,)

    def switch(
        self,
        release: Release,
        addresses: tuple[str, ...],  # noqa: ARG002
        test: Callable[[str], None],
    ) -> tuple[str, ...]:
        """Replace the tasks of the service, wait until they are steady, and test them through the load balancer.

        Raises ReleaseError if that fails, after rolling back; if the rollback fails too, the error has both reasons.
        """
        before = self._service.describe()
        definition = next((each for each in self._service.definitions() if each.release_id == release.id), None)
        if definition is None:
            raise ReleaseError(f"the task definition of release {release.id} was deregistered: release again")
        try:
            self._deploy(definition.arn, None if before["desiredCount"] else self._rules.ecs_tasks)
            test(self._rules.ecs_url)
        except ReleaseError as error:
            self._roll_back(before, error)
            raise
        return (self._rules.ecs_url,)

    def withdraw(self) -> None:
        """Set the desired count of the service to 0; the load balancer then answers 503."""
        self._service.update(None, 0)

    def answers(self) -> bool:
        """Always true: services on AWS do not end with the releaser."""
        return True

    def _deploy(self, definition: str, count: int | None) -> None:
        deployment = deployment_of(self._service.update(definition, count), definition)
        if deployment is None:
            raise ReleaseError(f"ECS starts no deployment of {definition}: see the service's events in its console")

        def poll() -> Rollout:
            beat(self._heartbeat_file)  # a rollout takes minutes
            return rollout_of(self._service.describe(), deployment)

        seconds = self._rules.ecs_timeout
        rollout = wait_until(poll, seconds, self._rules.poll_seconds, lambda rollout: rollout is not Rollout.RUNNING)
        if rollout is Rollout.STEADY:
            return
        state = f"are not steady after {seconds:g} s" if rollout is Rollout.RUNNING else "do not start, and ECS gave up"
        reason = (
            self._service.why_failed(definition) or "no task has stopped: see the service's events in the ECS console"
        )
        raise ReleaseError(f"the service's tasks of {definition} {state}: {reason}")

    def _roll_back(self, before: Mapping[str, Any], reason: ReleaseError) -> None:
        try:
            self._deploy(before["taskDefinition"], None if before["desiredCount"] else 0)
        except ReleaseError as error:
            raise ReleaseError(f"{reason}; and the rollback of the service failed: {error}") from reason
