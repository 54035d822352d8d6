"""Task definitions of releases, each a copy of Terraform's with its own image and environment, and their rollouts."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from deposit.errors import ReleaseError
from deposit.release.repository import Release

SERVICE, PORT = "service", 8000
"""The container that serves, and where."""
RELEASE_TAG, BENTO_TAG, CONFIGURATION_TAG = "deposit:release", "deposit:bento", "deposit:configuration"
"""Tags of a release's definition: its id, the sha256 of its Bento, the digest of all that it is started with."""

Definition = Mapping[str, Any]


def family_of(arn: str) -> str:
    """The family of a definition.

    >>> family_of("arn:aws:ecs:eu-central-1:123456789012:task-definition/deposit-prod-serving:12")
    'deposit-prod-serving'
    """
    return arn.rpartition("/")[2].partition(":")[0]


def tags_of(described: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags by key, from the pairs that the ECS writes."""
    return {tag["key"]: tag["value"] for tag in described}


def release_of(tags: Mapping[str, str]) -> int | None:
    """The release whose definition or task it is; None for one of Terraform's."""
    value = tags.get(RELEASE_TAG, "")
    return int(value) if value.isdecimal() else None


def release_tags(release: Release, configuration: str, template: Mapping[str, str]) -> list[dict[str, str]]:
    """The template's tags and a release's own."""
    own = {
        RELEASE_TAG: str(release.id),
        BENTO_TAG: release.bento_sha256,
        CONFIGURATION_TAG: configuration,
    }
    return [{"key": key, "value": value} for key, value in sorted({**template, **own}.items())]


def derive(template: Definition, accepted: Iterable[str], image: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What to register for a release, but for its tags. Raises ReleaseError if the template has no service.

    Args:
        template: Terraform's definition, as the ECS describes it.
        accepted: the fields that may be registered; a description has more.
        image: of the container that serves.
        variables: its environment. What the template gives it, as a value or as a secret, stays as it is: it is of the
            place, which the releaser does not know.
    """
    containers = [dict(container) for container in template["containerDefinitions"]]
    service = next((container for container in containers if container["name"] == SERVICE), None)
    if service is None:
        names = ", ".join(str(container["name"]) for container in containers)
        raise ReleaseError(
            f"the task definition {template['family']} has the containers {names} and none named {SERVICE!r}: "
            "apply terraform/services again"
        )
    given = {entry["name"]: entry["value"] for entry in service.get("environment", [])}
    secret = {entry["name"] for entry in service.get("secrets", [])}
    environment = {name: value for name, value in variables.items() if name not in secret} | given
    service["image"] = image
    service["environment"] = [{"name": name, "value": environment[name]} for name in sorted(environment)]
    fields = set(accepted) - {"tags"}
    return {name: value for name, value in template.items() if name in fields} | {"containerDefinitions": containers}


class Rollout(StrEnum):
    """Of one deployment of a service."""

    RUNNING = "running"
    STEADY = "steady"
    FAILED = "failed"
    REPLACED = "replaced"


def deployment_of(service: Mapping[str, Any], definition: str) -> Mapping[str, Any] | None:
    """The newest deployment of a task definition."""
    matching = [each for each in service["deployments"] if each["taskDefinition"] == definition]
    return max(matching, key=lambda each: each["createdAt"], default=None)


def rollout_of(service: Mapping[str, Any], deployment: Mapping[str, Any]) -> Rollout:
    """How far a deployment has come that was begun earlier.

    A circuit breaker that rolls back marks it as failed and begins another one, of the definition before; both stand in
    the description until the first is drained. Description and change are not always of the same moment: as long as
    neither is seen, it is running.
    """
    now = next((each for each in service["deployments"] if each["id"] == deployment["id"]), None)
    if now is not None and now.get("rolloutState") == "FAILED":
        return Rollout.FAILED
    if any(
        each["status"] == "PRIMARY" and each["createdAt"] > deployment["createdAt"] for each in service["deployments"]
    ):
        return Rollout.REPLACED
    if now is None or now["status"] != "PRIMARY" or now.get("rolloutState") != "COMPLETED":
        return Rollout.RUNNING
    return Rollout.STEADY


def why_stopped(task: Mapping[str, Any]) -> str:
    """One sentence of a stopped task: the ECS's own reason and what ended its containers."""
    reasons = [str(task.get("stoppedReason") or "it says nothing")]
    for container in task.get("containers", []):
        words = container.get("reason") or (
            f"exit code {container['exitCode']}" if container.get("exitCode") not in (None, 0) else ""
        )
        if words:
            reasons.append(f"{container['name']}: {words}")
    return "; ".join(reasons)
