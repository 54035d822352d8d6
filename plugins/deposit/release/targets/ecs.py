"""Target `ecs`: a release is a task definition, tested in a task of its own before the service gets it.

What is served is one service behind a load balancer, whose tasks the ECS replaces one after the other. So that a bad
release never gets a request, its definition first runs as a single task that nothing sends requests to.
"""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from deposit.errors import ReleaseError
from deposit.release.checks import plain_client
from deposit.release.oci.ecr import PushedTarget
from deposit.release.repository import Release
from deposit.release.targets.environment import bentoml_variables, configuration_digest, service_variables
from deposit.release.targets.fargate import EcsService, RegisteredDefinition
from deposit.release.targets.image import BENTO
from deposit.release.targets.taskdefinition import CONFIGURATION_TAG, derive, release_tags
from deposit.settings import Settings
from deposit.waiting import wait_until

_NO_FILE = Path("/nonexistent")
"""A service on AWS has its task's role and no key to the object store."""


class EcsTarget(PushedTarget):
    """Services as tasks of the ECS: one to test a release, and those of the service, which have its traffic."""

    def __init__(self, settings: Settings, service: EcsService) -> None:
        super().__init__(settings.release)
        self._settings = settings
        self._service = service
        self._url = settings.release.ecs_url

    def start(self, release: Release) -> tuple[str, ...]:
        """Run one task of the release's definition, or leave the one that runs. Raises ReleaseError if it ends."""
        running = self._service.trials(release.id)
        if running:
            arn = running[0].arn
        else:
            arn = self._service.run_trial(self._definition_of(release) or self._register(release))
        seconds = self._settings.release.start_timeout

        def address() -> str | None:
            task = self._service.trial(arn, release.id)
            if task is not None and task.has_stopped:
                raise ReleaseError(f"the task to test the release does not start: {task.why_stopped}")
            return task.address if task else None

        place = wait_until(address, seconds, self._settings.release.poll_seconds)
        if place is None:
            raise ReleaseError(
                f"the task to test the release has no address after {seconds:g} s: see it in the ECS's console, or "
                "raise DEPOSIT_RELEASE__START_TIMEOUT"
            )
        return (place,)

    def client(self, address: str) -> httpx.Client:
        """Of a task at `host:port`, or of the load balancer at its URL."""
        if address != self._url:
            return plain_client(address)
        # the machine's authorities, or those that SSL_CERT_FILE names: a bank may have its own
        return httpx.Client(base_url=address, trust_env=False, verify=ssl.create_default_context())

    def stop(self, release_id: int) -> None:
        """Stop the release's test; forget its definition, unless the service has it."""
        for task in self._service.trials(release_id):
            self._service.stop_task(task.arn, f"release {release_id} is no longer tested")
        self._forget(lambda definition: definition.release_id == release_id)

    def problem(self, release_id: int) -> str | None:
        """Why the test has ended; tasks of the service are replaced by the ECS itself."""
        if self._service.current().release_id == release_id or self._service.trials(release_id):
            return None
        reasons = dict.fromkeys(task.why_stopped for task in self._service.trials(release_id, "STOPPED"))
        return "; ".join(reasons) or "there is no such task"

    def configuration(self, release: Release) -> str:
        """Of the definition that would be registered by now, whatever its image: Terraform's template is in it."""
        variables = {"definition": json.dumps(self._derived(""), sort_keys=True, default=str)}
        return configuration_digest(release, variables, {})

    def started_with(self, release_id: int) -> str | None:
        """From the tags of its definition."""
        current = self._service.current()
        definitions = [current] if current.release_id == release_id else self._service.definitions()
        tags = (each.tags.get(CONFIGURATION_TAG) for each in definitions if each.release_id == release_id)
        return next(tags, None)

    def running(self) -> dict[int, tuple[str, ...]]:
        """The release that the service has, and those that are being tested."""
        trials: dict[int, tuple[str, ...]] = {
            task.release_id: (task.address,) for task in self._service.trials() if task.address
        }
        serving = self._service.serving()
        return trials if serving is None else trials | {serving: (self._url,)}

    def prune(self, keep: set[str]) -> None:  # noqa: ARG002 - images expire by the rules of their repository
        """End all tests, for none is under way now; forget the definitions of releases but the service's."""
        for task in self._service.trials():
            self._service.stop_task(task.arn, "the test is over")
        self._forget(lambda definition: definition.release_id is not None)

    def abandon(self) -> None:
        """Nothing: the service does not end with the releaser."""

    def _forget(self, matches: Callable[[RegisteredDefinition], bool]) -> None:
        current = self._service.current().arn
        for definition in self._service.definitions():
            if matches(definition) and definition.arn != current:
                self._service.deregister(definition.arn)

    def _definition_of(self, release: Release) -> RegisteredDefinition | None:
        """The one that was registered for a release, with what it is to be started with by now."""
        configuration = self.configuration(release)
        return next(
            (
                each
                for each in self._service.definitions()
                if each.release_id == release.id and each.tags.get(CONFIGURATION_TAG) == configuration
            ),
            None,
        )

    def _register(self, release: Release) -> RegisteredDefinition:
        image = self.image(release)
        tags = release_tags(release, self.configuration(release), self._template().tags)
        return self._service.register(self._derived(image), tags)

    def _template(self) -> RegisteredDefinition:
        """Terraform's newest: a change there reaches the service as a change of settings does."""
        for definition in self._service.definitions():
            if definition.release_id is None:
                return definition
        raise ReleaseError(
            "Terraform's task definition of the service is gone, and only those of releases are left: apply "
            "terraform/services again"
        )

    def _derived(self, image: str) -> dict[str, Any]:
        variables = bentoml_variables(BENTO) | service_variables(self._settings, _NO_FILE)
        return derive(self._template().content, self._service.accepted, image, variables)
