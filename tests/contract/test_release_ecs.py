"""Releases to the ECS: the real releaser, registry, PostgreSQL and services; AWS and its Fargate are simulated."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from chaos import Load
from ecs_cloud import Cloud
from fargate_host import register_template
from registry_server import BASE
from released import WAIT, release, releasing, until

from deposit.errors import ReleaseError, UpstreamError
from deposit.release import requests
from deposit.release.targets.loadbalancer import EcsTraffic

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("registered"), pytest.mark.timeout(900)]


def test_release_second_release_and_rollback_under_load(
    cloud: Cloud, customers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.replace_tasks_in_turn(monkeypatch)
    template = cloud.service["taskDefinition"]
    with releasing(cloud.settings):
        first = release(cloud.settings, "deposit-v1")
        assert (first.state, first.endpoint) == ("live", cloud.host.url)
        assert cloud.service["desiredCount"] == 1
        assert cloud.served() == "deposit-v1"
        container, tags = cloud.definition(cloud.service["taskDefinition"])
        assert container["image"].startswith(f"{cloud.settings.release.ecr_repository}@sha256:")
        assert container["dependsOn"] == [{"containerName": "shipper", "condition": "START"}]
        assert (tags["deposit:release"], tags["deposit:bento"]) == (str(first.id), first.bento_sha256)
        assert tags["project"] == "deposit"
        cloud.aws.client("ecs").update_service(
            cluster=cloud.settings.release.ecs_cluster, service=cloud.settings.release.ecs_service, desiredCount=3
        )
        with Load(urlsplit(cloud.host.url).port or 0, customers, pause=0.5, clients=8) as load:
            load.until_more(8)
            second = release(cloud.settings, "deposit-v2")
            assert cloud.served() == "deposit-v2"
            # autoscaling's count stays
            assert cloud.service["desiredCount"] == 3
            load.until_more(8)
            back = requests.wait(cloud.settings.database, requests.request_rollback(cloud.settings.database).id, WAIT)
            assert (back.kind, back.model_id) == ("rollback", "deposit-v1")
            assert cloud.served() == "deposit-v1"
            load.until_more(8)
        assert (load.broken, load.refused) == (0, [])
        _, tags = cloud.definition(cloud.service["taskDefinition"])
        assert tags["deposit:release"] == str(back.id)
        # tests are over, and of the definitions Terraform's and the service's are left
        until(lambda: cloud.tasks() == [] and set(cloud.active()) == {template, cloud.service["taskDefinition"]})
    states = {each.id: each.state for each in requests.history(cloud.settings.database)}
    assert states == {first.id: "retired", second.id: "retired", back.id: "live"}
    cloud.aws.client("ecs").update_service(
        cluster=cloud.settings.release.ecs_cluster, service=cloud.settings.release.ecs_service, desiredCount=0
    )
    until(lambda: len(cloud.host.ended) == 3)
    # the shippers, which ship at their end alone, took the SIGTERM, and every answer's predictions are in PostgreSQL
    assert [shipper for *_, shipper in cloud.host.ended] == [0, 0, 0]
    stored = cloud.stored()
    assert set(load.answered) <= stored.keys()
    assert set(stored.values()) == {"deposit-v1", "deposit-v2"}


def test_a_bad_release_gets_no_request_and_leaves_nothing(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        live = cloud.service["taskDefinition"]
        cloud.host.requests.clear()
        with pytest.raises(ReleaseError, match="parity"):
            release(cloud.settings, "deposit-v3")
        assert cloud.service["taskDefinition"] == live
        assert cloud.host.requests == []
        assert cloud.served() == "deposit-v1"
        until(lambda: cloud.tasks() == [])
        assert len(cloud.active()) == 2


def test_a_service_that_fails_behind_the_load_balancer_goes_back(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        live = cloud.service["taskDefinition"]
        cloud.host.broken = True
        with pytest.raises(ReleaseError, match=r"smoke test: POST /predict gave 502"):
            release(cloud.settings, "deposit-v2")
        cloud.host.broken = False
        assert cloud.service["taskDefinition"] == live
        assert cloud.served() == "deposit-v1"
        until(lambda: cloud.tasks() == [] and len(cloud.active()) == 2)


def test_a_first_release_that_fails_leaves_the_service_without_tasks(cloud: Cloud) -> None:
    template = cloud.service["taskDefinition"]
    with releasing(cloud.settings):
        cloud.host.broken = True
        with pytest.raises(ReleaseError, match=r"gave 502"):
            release(cloud.settings, "deposit-v1")
    assert (cloud.service["taskDefinition"], cloud.service["desiredCount"]) == (template, 0)


def test_terraforms_new_template_and_new_settings_reach_the_service(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        first = release(cloud.settings, "deposit-v1")
        register_template(cloud.aws, cloud.settings.release.ecs_service, BASE, DEPOSIT_SERVE__BURST="7")
        until(lambda: requests.live(cloud.settings.database) != first)
        renewed = requests.live(cloud.settings.database)
        assert renewed is not None
        assert (renewed.kind, renewed.model_id) == ("renewal", "deposit-v1")
        container, _ = cloud.definition(cloud.service["taskDefinition"])
        environment = {entry["name"]: entry["value"] for entry in container["environment"]}
        assert environment["DEPOSIT_SERVE__BURST"] == "7"
        assert environment["DEPOSIT_SERVE__MAX_CUSTOMERS"] == "10000"


def test_a_service_that_was_changed_by_hand_is_brought_back(cloud: Cloud) -> None:
    template = cloud.service["taskDefinition"]
    names = {"cluster": cloud.settings.release.ecs_cluster, "service": cloud.settings.release.ecs_service}
    with releasing(cloud.settings):
        live = release(cloud.settings, "deposit-v1")
        until(lambda: cloud.tasks() == [])
        for change in ({"taskDefinition": template}, {"desiredCount": 0}):
            cloud.aws.client("ecs").update_service(**names, **change)
            until(lambda: cloud.service["taskDefinition"] != template and cloud.service["desiredCount"] == 1)
            # the releaser is done: it ends its test last
            until(lambda: cloud.tasks() == [] and cloud.served() == "deposit-v1")
        assert requests.live(cloud.settings.database) == live


def test_an_end_between_rollout_and_record_is_repaired_by_the_next_look(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, looks = EcsTraffic.switch, []

    def ends(*arguments: Any) -> str:
        address = switch(*arguments)
        looks.append(cloud.served())
        if len(looks) == 1:
            raise UpstreamError("what is live cannot be recorded")
        return address

    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        monkeypatch.setattr(EcsTraffic, "switch", ends)
        assert release(cloud.settings, "deposit-v2").state == "live"
        # the rows say what is live: the next look takes the service back, and then carries the release out anew
        assert looks == ["deposit-v2", "deposit-v1", "deposit-v2"]
        assert cloud.served() == "deposit-v2"
