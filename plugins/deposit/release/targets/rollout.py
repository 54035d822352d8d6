"""What became of a change of an ECS service, read from its description."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


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
