"""What AWS refuses a release to the ECS: one sentence each, and what served before goes on serving."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from ecs_cloud import Cloud
from fargate_host import register_template
from registry_server import BASE
from released import release, releasing, until

from deposit.errors import ConfigError, ReleaseError
from deposit.release import requests
from deposit.release.repository import Release
from deposit.release.targets import target_for
from deposit.release.targets.fargate import EcsService
from deposit.release.targets.loadbalancer import EcsTraffic
from deposit.release.targets.taskdefinition import derive, release_tags

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("registered"), pytest.mark.timeout(900)]
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def with_rights(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The account asks everybody for rights: the releaser has none yet, who looks on has all."""
    iam = cloud.aws.client("iam")
    keys = {name: iam.create_user(UserName=name) and _key(iam, name) for name in ("releaser", "operator")}
    _allow(iam, "operator", "*")
    for name, value in keys["releaser"].items():
        monkeypatch.setenv(name, value)
    cloud.look_on_as(keys["operator"])
    httpx.post(f"{cloud.aws.url}/moto-api/reset-auth", content=b"0", timeout=60).raise_for_status()
    yield cloud
    httpx.post(f"{cloud.aws.url}/moto-api/reset-auth", content=b"inf", timeout=60).raise_for_status()
    for name, key in keys.items():
        iam.delete_access_key(UserName=name, AccessKeyId=key["AWS_ACCESS_KEY_ID"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)


def _key(iam: Any, user: str) -> dict[str, str]:
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _allow(iam: Any, user: str, action: str) -> None:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="rights", PolicyDocument=document)


def _service(cloud: Cloud, **changes: Any) -> EcsService:
    settings = cloud.settings.changed("release", **changes)
    return EcsService(settings.release, settings.store.region)


def test_what_is_not_there_is_named_with_its_setting(cloud: Cloud) -> None:
    with pytest.raises(ReleaseError, match=r"there is no ECS cluster none in eu-central-1: .*__ECS_CLUSTER"):
        _service(cloud, ecs_cluster="none").describe()
    with pytest.raises(ReleaseError, match=r"there is no ECS service none in the cluster .*__ECS_SERVICE"):
        _service(cloud, ecs_service="none").describe()
    with pytest.raises(ConfigError, match=r"the release target `ecs` needs DEPOSIT_RELEASE__ECS_URL"):
        _service(cloud, ecs_url="")


def test_a_release_that_aws_denies_fails_with_the_reason(with_rights: Cloud) -> None:
    template = with_rights.service["taskDefinition"]
    with (
        releasing(with_rights.settings),
        pytest.raises(ReleaseError, match=r"AWS denies this role permission to describe the ECS"),
    ):
        release(with_rights.settings, "deposit-v1")
    assert with_rights.service["taskDefinition"] == template


def test_a_release_whose_image_cannot_be_pushed_fails_with_the_reason(with_rights: Cloud) -> None:
    _allow(with_rights.aws.client("iam"), "releaser", "ecs:*")
    with (
        releasing(with_rights.settings),
        pytest.raises(ReleaseError, match=r"AWS denies this role permission to log in to"),
    ):
        release(with_rights.settings, "deposit-v1")
    assert len(with_rights.active()) == 1
    assert with_rights.tasks() == []


def test_a_task_that_never_becomes_healthy_leaves_the_old_release(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        live, before = requests.live(cloud.settings.database), cloud.service["taskDefinition"]
        # what the service refuses at its start; the releaser tries it once, as a renewal
        register_template(cloud.aws, cloud.settings.release.ecs_service, BASE, DEPOSIT_SERVE__BURST="none")
        until(lambda: requests.history(cloud.settings.database)[0].state == "failed")
        failed = requests.history(cloud.settings.database)[0]
        assert failed.kind == "renewal"
        assert "does not start: Essential container in task exited" in failed.reason
        assert cloud.served() == "deposit-v1"
        assert (requests.live(cloud.settings.database), cloud.service["taskDefinition"]) == (live, before)
        until(lambda: cloud.tasks() == [])
        with pytest.raises(ReleaseError, match=r"Essential container in task exited"):
            release(cloud.settings, "deposit-v2")
        assert cloud.served() == "deposit-v1"
        assert [each.kind for each in requests.history(cloud.settings.database)] == ["release", "renewal", "release"]


def test_a_rollout_that_the_circuit_breaker_gives_up_goes_back(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
    before = cloud.service["taskDefinition"]
    service = EcsService(cloud.settings.release, cloud.settings.store.region)
    # the simulated ECS never gets a task of such an image healthy
    row = Release(99, "release", "deposit-v2", "", "", "", "0" * 64, "testing", "", "ecs", None, NOW, NOW)
    image = f"{cloud.settings.release.ecr_repository}@sha256:{'0' * 60}dead"
    content = derive(service.current().content, service.accepted, image, {})
    service.register(content, release_tags(row, "c" * 64, {}))
    with pytest.raises(ReleaseError, match=r"do not start, and ECS gave up"):
        EcsTraffic(cloud.settings.release, service, None).switch(row, (), lambda _: pytest.fail("it has no traffic"))
    assert cloud.service["taskDefinition"] == before
    assert cloud.served() == "deposit-v1"
    target, _ = target_for(cloud.settings)
    target.stop(row.id)
    assert before in cloud.active()
    assert len(cloud.active()) == 2
