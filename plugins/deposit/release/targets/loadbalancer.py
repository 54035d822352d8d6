"""What leads clients to a release on the ECS: the load balancer before the one service, whatever that runs."""

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
    """To switch is to replace the service's tasks, which the ECS does one after the other."""

    def __init__(self, rules: ReleaseSettings, service: EcsService, heartbeat_file: Path | None) -> None:
        self._rules = rules
        self._heartbeat_file = heartbeat_file
        self._service = service

    def repair(self) -> bool:
        """Nothing: the load balancer is Terraform's."""
        return False

    def upstream(self) -> tuple[str, ...]:
        """The load balancer, if the service has a release and is to have tasks."""
        return () if self._service.serving() is None else (self._rules.ecs_url,)

    def switch(
        self,
        release: Release,
        addresses: tuple[str, ...],  # noqa: ARG002
        test: Callable[[str], None],
    ) -> tuple[str, ...]:
        """Replace the service's tasks, wait until the new ones serve, test them through the load balancer.

        Raises ReleaseError when that fails and the service runs as before, or names why it does not.
        """
        before = self._service.describe()
        definition = next((each for each in self._service.definitions() if each.release_id == release.id), None)
        if definition is None:
            raise ReleaseError(f"the task definition of release {release.id} was deregistered: release again")
        try:
            self._deploy(definition.arn, None if before["desiredCount"] else self._rules.ecs_tasks)
            test(self._rules.ecs_url)
        except ReleaseError as error:
            self._go_back(before, error)
            raise
        return (self._rules.ecs_url,)

    def withdraw(self) -> None:
        """Leave the service without tasks; the load balancer then answers 503."""
        self._service.update(None, 0)

    def answers(self) -> bool:
        """Always: nothing on AWS ends with the releaser."""
        return True

    def _deploy(self, definition: str, count: int | None) -> None:
        deployment = deployment_of(self._service.update(definition, count), definition)
        if deployment is None:
            raise ReleaseError(f"the ECS begins no deployment of {definition}: see the service's events in its console")

        def look() -> Rollout:
            beat(self._heartbeat_file)  # it takes minutes
            return rollout_of(self._service.describe(), deployment)

        seconds = self._rules.ecs_timeout
        rollout = wait_until(look, seconds, self._rules.poll_seconds, lambda rollout: rollout is not Rollout.RUNNING)
        if rollout is Rollout.STEADY:
            return
        how = (
            f"are not steady after {seconds:g} s"
            if rollout is Rollout.RUNNING
            else "do not come up, and the ECS gave up"
        )
        reason = (
            self._service.why_failed(definition) or "no task has ended: see the service's events in the ECS's console"
        )
        raise ReleaseError(f"the service's tasks of {definition} {how}: {reason}")

    def _go_back(self, before: Mapping[str, Any], reason: ReleaseError) -> None:
        try:
            self._deploy(before["taskDefinition"], None if before["desiredCount"] else 0)
        except ReleaseError as error:
            raise ReleaseError(f"{reason}; and the service does not go back: {error}") from reason
