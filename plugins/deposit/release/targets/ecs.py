"""Target `ecs`: a release is a task definition, tested in a standalone task before the service runs it.

Production is one ECS service behind a load balancer, and ECS replaces its tasks one by one. So that a bad release never
gets a request, its definition first runs as a single trial task without traffic.
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
"""A service on AWS uses the role of its task, and no key to the object store."""


class EcsTarget(PushedTarget):
    """Services as ECS tasks: a trial task to test a release, and the tasks of the service, which have the traffic."""

    def __init__(self, settings: Settings, service: EcsService) -> None:
        super().__init__(settings.release)
        self._settings = settings
        self._service = service
        self._url = settings.release.ecs_url

    def start(self, release: Release) -> tuple[str, ...]:
        """Run a trial task of the release, unless one is running. Raises ReleaseError if it stops."""
        running = self._service.trials(release.id)
        if running:
            arn = running[0].arn
        else:
            arn = self._service.run_trial(self._definition_of(release) or self._register(release))
        seconds = self._settings.release.start_timeout

        def address() -> str | None:
            task = self._service.trial(arn, release.id)
            if task is not None and task.has_stopped:
                raise ReleaseError(f"the trial task of the release does not start: {task.why_stopped}")
            return task.address if task else None

        assigned = wait_until(address, seconds, self._settings.release.poll_seconds)
        if assigned is None:
            raise ReleaseError(
                f"the trial task of the release has no address after {seconds:g} s: see the ECS console, or raise "
                "DEPOSIT_RELEASE__START_TIMEOUT"
            )
        return (assigned,)

    def client(self, address: str) -> httpx.Client:
        """Return a client for a task at `host:port`, or for the URL of the load balancer."""
        if address != self._url:
            return plain_client(address)
        # trusts the system's CA certificates, or SSL_CERT_FILE: a bank may have its own authority
        return httpx.Client(base_url=address, trust_env=False, verify=ssl.create_default_context())

    def stop(self, release_id: int) -> None:
        """Stop the trial tasks of a release, and deregister its definition unless the service runs it."""
        for task in self._service.trials(release_id):
            self._service.stop_task(task.arn, f"release {release_id} is no longer tested")
        self._deregister(lambda definition: definition.release_id == release_id)

    def problem(self, release_id: int) -> str | None:
        """Return why the trial task has stopped; ECS itself replaces tasks of the service."""
        if self._service.current().release_id == release_id or self._service.trials(release_id):
            return None
        reasons = dict.fromkeys(task.why_stopped for task in self._service.trials(release_id, "STOPPED"))
        return "; ".join(reasons) or f"there is no trial task of release {release_id}"

    def configuration(self, release: Release) -> str:
        """Return the digest of the definition that would be registered now, without its image.

        It includes Terraform's template, so a change of the template is a change of the configuration.
        """
        variables = {"definition": json.dumps(self._derived(""), sort_keys=True, default=str)}
        return configuration_digest(release, variables, {})

    def started_with(self, release_id: int) -> str | None:
        """Return the digest in the tags of the release's definition."""
        current = self._service.current()
        definitions = [current] if current.release_id == release_id else self._service.definitions()
        tags = (each.tags.get(CONFIGURATION_TAG) for each in definitions if each.release_id == release_id)
        return next(tags, None)

    def running(self) -> dict[int, tuple[str, ...]]:
        """Return the release that the service runs, and those with a trial task."""
        trials: dict[int, tuple[str, ...]] = {
            task.release_id: (task.address,) for task in self._service.trials() if task.address
        }
        serving = self._service.serving()
        return trials if serving is None else trials | {serving: (self._url,)}

    def prune(self, keep: set[str]) -> None:  # noqa: ARG002 - images expire by the rules of their repository
        """Stop all trial tasks, since no test is in progress; deregister all releases that the service does not run."""
        for task in self._service.trials():
            self._service.stop_task(task.arn, "the test is over")
        self._deregister(lambda definition: definition.release_id is not None)

    def abandon(self) -> None:
        """Do nothing: the service does not end with the releaser."""

    def _deregister(self, matches: Callable[[RegisteredDefinition], bool]) -> None:
        current = self._service.current().arn
        for definition in self._service.definitions():
            if matches(definition) and definition.arn != current:
                self._service.deregister(definition.arn)

    def _definition_of(self, release: Release) -> RegisteredDefinition | None:
        """Return the definition registered for a release with the current configuration, if there is one."""
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
        """Return Terraform's newest definition. A change of it reaches the service like a change of settings."""
        for definition in self._service.definitions():
            if definition.release_id is None:
                return definition
        raise ReleaseError(
            "Terraform's task definition of the service was deregistered, and only those of releases are left: apply "
            "terraform/services again"
        )

    def _derived(self, image: str) -> dict[str, Any]:
        variables = bentoml_variables(BENTO) | service_variables(self._settings, _NO_FILE)
        return derive(self._template().content, self._service.accepted, image, variables)
