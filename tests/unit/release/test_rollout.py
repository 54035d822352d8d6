"""What a description of an ECS service says of one of its deployments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deposit.release.targets.taskdefinition import Rollout, deployment_of, rollout_of, why_stopped

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def _deployment(number: int, status: str, rollout: str | None, definition: str = "new") -> dict[str, Any]:
    state = {} if rollout is None else {"rolloutState": rollout}
    return {
        "id": f"ecs-svc/{number}",
        "status": status,
        "taskDefinition": definition,
        "createdAt": NOW + timedelta(seconds=number),
        **state,
    }


OURS = _deployment(2, "PRIMARY", "IN_PROGRESS")
OLD = _deployment(1, "ACTIVE", "COMPLETED", "old")


@pytest.mark.parametrize(
    ("deployments", "rollout"),
    [
        ([OURS, OLD], Rollout.RUNNING),
        ([_deployment(2, "PRIMARY", "COMPLETED")], Rollout.STEADY),
        ([_deployment(2, "PRIMARY", "COMPLETED"), OLD], Rollout.STEADY),
        ([_deployment(2, "PRIMARY", "FAILED"), OLD], Rollout.FAILED),
        # the circuit breaker has begun to roll back
        ([_deployment(3, "PRIMARY", "IN_PROGRESS", "old"), _deployment(2, "ACTIVE", "FAILED")], Rollout.FAILED),
        # and has ended: nothing is left of the failed one
        ([_deployment(3, "PRIMARY", "COMPLETED", "old")], Rollout.REPLACED),
        # somebody else has deployed over it, the same definition even
        ([_deployment(3, "PRIMARY", "IN_PROGRESS"), _deployment(2, "ACTIVE", "IN_PROGRESS")], Rollout.REPLACED),
        # the description is of a moment before
        ([_deployment(1, "PRIMARY", "COMPLETED", "old")], Rollout.RUNNING),
        ([_deployment(2, "PRIMARY", None)], Rollout.RUNNING),
        ([], Rollout.RUNNING),
    ],
)
def test_how_far_a_deployment_has_come(deployments: list[dict[str, Any]], rollout: Rollout) -> None:
    assert rollout_of({"deployments": deployments}, OURS) is rollout


def test_the_newest_deployment_of_a_definition_is_taken() -> None:
    service = {"deployments": [OLD, _deployment(3, "PRIMARY", None), OURS]}
    assert deployment_of(service, "new") == service["deployments"][1]
    assert deployment_of(service, "other") is None


def test_why_a_task_stopped_names_the_containers_that_ended_it() -> None:
    task = {
        "stoppedReason": "Essential container in task exited",
        "containers": [
            {"name": "service", "exitCode": 1},
            {"name": "shipper", "exitCode": 0},
            {"name": "volumes", "reason": "CannotPullContainerError: pull access denied"},
        ],
    }
    assert why_stopped(task) == (
        "Essential container in task exited; service: exit code 1; "
        "volumes: CannotPullContainerError: pull access denied"
    )
    assert why_stopped({}) == "ECS gives no reason"
