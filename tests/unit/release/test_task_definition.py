"""A release's task definition, derived from Terraform's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deposit.errors import ReleaseError
from deposit.release.repository import Release
from deposit.release.targets.taskdefinition import derive, family_of, release_of, release_tags, tags_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RELEASE = Release(
    7, "release", "deposit-v7", "", "deposit:v7", "s3://b/7", "a1" * 32, "building", "", "ecs", None, NOW, NOW
)
ACCEPTED = ("family", "taskRoleArn", "networkMode", "containerDefinitions", "volumes", "cpu", "memory", "tags")


def _template(**service: Any) -> dict[str, Any]:
    return {
        "taskDefinitionArn": "arn:aws:ecs:eu-central-1:123456789012:task-definition/deposit-dev-serving:1",
        "family": "deposit-dev-serving",
        "revision": 1,
        "status": "ACTIVE",
        "registeredAt": NOW,
        "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
        "compatibilities": ["FARGATE"],
        "taskRoleArn": "arn:aws:iam::123456789012:role/serving",
        "networkMode": "awsvpc",
        "cpu": "512",
        "memory": "1024",
        "volumes": [{"name": "spool"}],
        "containerDefinitions": [
            {"name": "service", "image": "base", "stopTimeout": 120, **service},
            {"name": "shipper", "image": "deposit", "command": ["shipper"]},
        ],
    }


def test_image_and_environment_are_the_releases_and_all_else_stays() -> None:
    template = _template(environment=[{"name": "DEPOSIT_STATE_DIR", "value": "/var/lib/deposit"}])
    derived = derive(template, ACCEPTED, "host/serving@sha256:1", {"DEPOSIT_SERVE__BURST": "7"})
    assert derived == {
        "family": "deposit-dev-serving",
        "taskRoleArn": "arn:aws:iam::123456789012:role/serving",
        "networkMode": "awsvpc",
        "cpu": "512",
        "memory": "1024",
        "volumes": [{"name": "spool"}],
        "containerDefinitions": [
            {
                "name": "service",
                "image": "host/serving@sha256:1",
                "stopTimeout": 120,
                "environment": [
                    {"name": "DEPOSIT_SERVE__BURST", "value": "7"},
                    {"name": "DEPOSIT_STATE_DIR", "value": "/var/lib/deposit"},
                ],
            },
            {"name": "shipper", "image": "deposit", "command": ["shipper"]},
        ],
    }
    # the template may be used again
    assert template["containerDefinitions"][0]["image"] == "base"


def test_what_the_template_gives_as_a_value_or_a_secret_is_not_overwritten() -> None:
    template = _template(
        environment=[{"name": "DEPOSIT_SERVE__BURST", "value": "9"}],
        secrets=[{"name": "DEPOSIT_SERVE__KEYS", "valueFrom": "arn:aws:secretsmanager:…"}],
    )
    variables = {"DEPOSIT_SERVE__BURST": "7", "DEPOSIT_SERVE__KEYS": "plain", "OMP_NUM_THREADS": "1"}
    service = derive(template, ACCEPTED, "image", variables)["containerDefinitions"][0]
    # a name that is both a value and a secret is refused by the ECS
    assert service["environment"] == [
        {"name": "DEPOSIT_SERVE__BURST", "value": "9"},
        {"name": "OMP_NUM_THREADS", "value": "1"},
    ]
    assert service["secrets"] == template["containerDefinitions"][0]["secrets"]


def test_a_template_without_the_service_is_named() -> None:
    template = _template()
    template["containerDefinitions"][0]["name"] = "web"
    with pytest.raises(
        ReleaseError, match=r"deposit-dev-serving has the containers web, shipper and none named 'service'"
    ):
        derive(template, ACCEPTED, "image", {})


def test_tags_name_the_release_and_keep_the_templates() -> None:
    tags = tags_of(release_tags(RELEASE, "c" * 64, {"project": "deposit", "deposit:release": "1"}))
    assert tags == {
        "project": "deposit",
        "deposit:release": "7",
        "deposit:bento": "a1" * 32,
        "deposit:configuration": "c" * 64,
    }
    assert release_of(tags) == 7
    assert release_of({"project": "deposit"}) is None
    assert release_of({"deposit:release": "x"}) is None


def test_family_of_an_arn_without_its_revision() -> None:
    assert (
        family_of("arn:aws:ecs:eu-central-1:123456789012:task-definition/deposit-dev-serving:12")
        == "deposit-dev-serving"
    )
