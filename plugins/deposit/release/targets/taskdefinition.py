"""Task definitions of releases, copied from Terraform's with another image and environment, and their rollouts."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from deposit.errors import ReleaseError
from deposit.release.repository import Release

SERVICE, PORT = "service", 8000
"""Name and port of the service's container."""
RELEASE_TAG, BENTO_TAG, CONFIGURATION_TAG = "deposit:release", "deposit:bento", "deposit:configuration"
"""Tags of a release's definition: id of the release, sha256 of its Bento, digest of its configuration."""

Definition = Mapping[str, Any]


def family_of(arn: str) -> str:
    """Return the family of a task definition.

    >>> family_of("arn:aws:ecs:eu-central-1:123456789012:task-definition/deposit-prod-serving:12")
    'deposit-prod-serving'
    """
    return arn.rpartition("/")[2].partition(":")[0]


def tags_of(described: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return tags by key, from ECS's list of pairs."""
    return {tag["key"]: tag["value"] for tag in described}


def release_of(tags: Mapping[str, str]) -> int | None:
    """Return the release of a definition or task by its tags; None for one of Terraform's."""
    value = tags.get(RELEASE_TAG, "")
    return int(value) if value.isdecimal() else None


def release_tags(release: Release, configuration: str, template: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags of the template and those of a release."""
    own = {
        RELEASE_TAG: str(release.id),
        BENTO_TAG: release.bento_sha256,
        CONFIGURATION_TAG: configuration,
    }
    return [{"key": key, "value": value} for key, value in sorted({**template, **own}.items())]


def derive(template: Definition, accepted: Iterable[str], image: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the task definition to register for a release, without tags.

    Raises ReleaseError if the template has no container for the service.

    Args:
        template: Terraform's definition, as described by ECS.
        accepted: fields that can be registered; a description has more.
        image: image of the service's container.
        variables: environment of the service. Variables and secrets of the template take precedence: they describe
            infrastructure that the releaser does not know.
    """
    containers = [dict(container) for container in template["containerDefinitions"]]
    service = next((container for container in containers if container["name"] == SERVICE), None)
    if service is None:
        names = ", ".join(str(container["name"]) for container in containers)
        raise ReleaseError(
            f"the task definition {template['family']} has the containers {names} and none named {SERVICE!r}: "
            "apply terraform/services again"
        )
    inherited = {entry["name"]: entry["value"] for entry in service.get("environment", [])}
    secrets = {entry["name"] for entry in service.get("secrets", [])}
    environment = {name: value for name, value in variables.items() if name not in secrets} | inherited
    service["image"] = image
    service["environment"] = [{"name": name, "value": environment[name]} for name in sorted(environment)]
    fields = set(accepted) - {"tags"}
    return {name: value for name, value in template.items() if name in fields} | {"containerDefinitions": containers}


class Rollout(StrEnum):
    """State of a deployment of an ECS service."""

    RUNNING = "running"
    STEADY = "steady"
    FAILED = "failed"
    REPLACED = "replaced"


def deployment_of(service: Mapping[str, Any], definition: str) -> Mapping[str, Any] | None:
    """Return the newest deployment of a task definition, if there is one."""
    matching = [each for each in service["deployments"] if each["taskDefinition"] == definition]
    return max(matching, key=lambda each: each["createdAt"], default=None)


def rollout_of(service: Mapping[str, Any], deployment: Mapping[str, Any]) -> Rollout:
    """Return the state of a deployment.

    When the circuit breaker rolls back, ECS marks the deployment as failed and starts another one of the previous
    definition; a description has both until the first is drained. Descriptions are eventually consistent, so a
    deployment is considered running until it is seen as completed, failed or replaced.
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
    """Return why a task has stopped, in one line: ECS's reason, and the reason or exit code of each container."""
    reasons = [str(task.get("stoppedReason") or "ECS gives no reason")]
    for container in task.get("containers", []):
        reason = container.get("reason") or (
            f"exit code {container['exitCode']}" if container.get("exitCode") not in (None, 0) else ""
        )
        if reason:
            reasons.append(f"{container['name']}: {reason}")
    return "; ".join(reasons)
