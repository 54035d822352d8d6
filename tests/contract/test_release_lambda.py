"""Releases to Lambda: the real releaser, registry, PostgreSQL and function; AWS and its Lambda are simulated."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from lambda_host import LambdaHost, make_function
from registry_server import BASE, HOST, Registry
from released import WAIT, release, releasing, until
from simulated_aws.server import REGION, SimulatedAws

from deposit.database import connect
from deposit.errors import ConfigError, ReleaseError
from deposit.keys import KeysFile, digest, new_key
from deposit.release import requests
from deposit.release.reconciler import Reconciliation
from deposit.release.targets import target_for
from deposit.release.targets.lambda_target import AliasTraffic
from deposit.sections import DatabaseSettings, MlflowSettings, ReleaseSettings, StoreSettings
from deposit.settings import Settings

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("registered")]


@dataclass
class Cloud:
    """Settings of a releaser, the simulated account, and who plays Lambda there."""

    settings: Settings
    aws: SimulatedAws
    host: LambdaHost
    key: str

    def versions(self) -> list[str]:
        """That are published."""
        answer = self.aws.client("lambda").list_versions_by_function(FunctionName=self.host.function)
        return [each["Version"] for each in answer["Versions"] if each["Version"] != "$LATEST"]

    def aliases(self) -> dict[str, str]:
        """With the versions that they name."""
        answer = self.aws.client("lambda").list_aliases(FunctionName=self.host.function)
        return {each["Name"]: each["FunctionVersion"] for each in answer["Aliases"]}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Through the HTTP API, as clients do."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.request(method, f"{self.host.url}{path}", headers=headers, trust_env=False, timeout=60, **more)

    def served(self) -> str:
        """The model that clients reach."""
        response = self.ask("GET", "/models")
        return str(response.json()["models"][0]["model_id"]) if response.is_success else ""


@pytest.fixture
def cloud(
    simulated_aws: SimulatedAws,
    registry: Registry,
    database: DatabaseSettings,
    object_store: StoreSettings,
    free_ports: Callable[[int], int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Cloud]:
    assert database.url is not None
    registry.put_image("deposit/base", "1")
    name = f"front-{secrets.token_hex(4)}"
    key = new_key()
    secret = simulated_aws.client("secretsmanager").create_secret(Name=f"{name}/keys", SecretString=_keys_file(key))
    make_function(
        simulated_aws,
        name,
        BASE,
        DEPOSIT_DATABASE__WRITER_URL=database.url.get_secret_value(),
        DEPOSIT_SERVE__KEYS_SECRET_ID=secret["ARN"],
    )
    host = LambdaHost(simulated_aws, registry, name, tmp_path / "lambda", environment=dict(simulated_aws.environment))
    host.folder.mkdir()
    with host.running():
        for variable, value in {**simulated_aws.environment, "AWS_ENDPOINT_URL_LAMBDA": host.endpoint}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        settings = Settings(
            state_dir=tmp_path / "state",
            database=database,
            store=object_store.model_copy(update={"region": REGION}),
            mlflow=MlflowSettings(tracking_uri=f"http://127.0.0.1:{free_ports(1)}"),
            release=ReleaseSettings(
                target="lambda",
                lambda_function=name,
                lambda_url=host.url,
                ecr_repository=f"{HOST}/deposit/{name}",
                base_image=BASE,
                registry_url=registry.url,
                service_key=key,  # type: ignore[arg-type]
                poll_seconds=0.2,
                drain_seconds=0,
            ),
        )
        settings.state_dir.mkdir()
        yield Cloud(settings, simulated_aws, host, key)


def _keys_file(key: str) -> str:
    import msgspec

    entry = {"name": "releaser", "sha256": digest(key), "roles": ["admin"], "created": "", "rate_per_second": 0}
    return msgspec.json.encode(msgspec.convert({"keys": [entry]}, KeysFile)).decode()


def test_release_second_release_and_rollback(cloud: Cloud, customers: list[dict[str, Any]]) -> None:
    with releasing(cloud.settings):
        first = release(cloud.settings, "deposit-v1")
        assert (first.state, first.endpoint) == ("live", f"{cloud.host.function}:2")
        assert cloud.served() == "deposit-v1"
        image = cloud.aws.client("lambda").get_function(FunctionName=cloud.host.function, Qualifier="live")
        assert image["Code"]["ImageUri"].startswith(f"{cloud.settings.release.ecr_repository}@sha256:")
        second = release(cloud.settings, "deposit-v2")
        answer = cloud.ask("POST", "/predict", json={"customers": customers[:2]}).json()
        assert answer["model"] == "deposit-v2"
        back = requests.wait(cloud.settings.database, requests.request_rollback(cloud.settings.database).id, WAIT)
        assert (back.kind, back.model_id) == ("rollback", "deposit-v1")
        assert cloud.served() == "deposit-v1"
        # what lost its traffic is gone; Terraform's own version stays
        live = cloud.host.live()
        until(lambda: cloud.aliases() == {"live": live, f"release-{back.id}": live})
        until(lambda: cloud.versions() == ["1", live])
    states = {each.id: each.state for each in requests.history(cloud.settings.database)}
    assert states == {first.id: "retired", second.id: "retired", back.id: "live"}
    # the tests of releases have left none
    assert _stored(cloud) == {each["prediction_id"] for each in answer["predictions"]}


def test_a_bad_release_gets_no_request_and_leaves_nothing(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        before, live = cloud.aliases(), cloud.host.live()
        with pytest.raises(ReleaseError, match="parity"):
            release(cloud.settings, "deposit-v3")
        assert cloud.aliases() == before
        assert cloud.versions() == ["1", live]
        assert cloud.served() == "deposit-v1"


def test_a_release_that_fails_where_clients_ask_goes_back(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
        before = cloud.aliases()
        cloud.host.broken = True
        with pytest.raises(ReleaseError, match=r"smoke test: POST /predict gave 502"):
            release(cloud.settings, "deposit-v2")
        cloud.host.broken = False
        assert cloud.aliases() == before
        assert cloud.served() == "deposit-v1"


def test_a_function_that_does_not_start_is_reported_in_its_own_words(cloud: Cloud) -> None:
    cloud.aws.client("lambda").update_function_configuration(
        FunctionName=cloud.host.function, Environment={"Variables": {"DEPOSIT_LOG__DESTINATION": "spool"}}
    )
    with (
        releasing(cloud.settings),
        pytest.raises(ReleaseError, match=r"fails .*DEPOSIT_LOG__DESTINATION must be `database`"),
    ):
        release(cloud.settings, "deposit-v1")
    assert (cloud.aliases(), cloud.versions()) == ({"live": "1"}, ["1"])


def test_terraforms_new_environment_reaches_the_clients(cloud: Cloud) -> None:
    functions = cloud.aws.client("lambda")
    with releasing(cloud.settings):
        first = release(cloud.settings, "deposit-v1")
        given = functions.get_function_configuration(FunctionName=cloud.host.function)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=cloud.host.function,
            Environment={"Variables": given | {"DEPOSIT_SERVE__MAX_CUSTOMERS": "2000"}},
        )
        until(lambda: requests.live(cloud.settings.database) != first)
        renewed = requests.live(cloud.settings.database)
        assert renewed is not None
        assert (renewed.kind, renewed.model_id) == ("renewal", "deposit-v1")
        refused = cloud.ask("POST", "/predict", json={"customers": [{}] * 2001})
        assert refused.status_code == 422


def test_an_alias_that_was_moved_by_hand_is_brought_back(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        live = release(cloud.settings, "deposit-v1")
        cloud.aws.client("lambda").update_alias(FunctionName=cloud.host.function, Name="live", FunctionVersion="1")
        until(lambda: cloud.host.live() != "1" and cloud.served() == "deposit-v1")
        assert requests.live(cloud.settings.database) == live


def test_what_a_releaser_that_died_after_the_switch_left_is_finished_by_the_next(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
    asked = requests.request_release(cloud.settings, "deposit-v2")
    switch = AliasTraffic.switch

    def dies(*arguments: Any) -> str:
        switch(*arguments)
        raise KeyboardInterrupt

    engine = connect(cloud.settings.database)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(AliasTraffic, "switch", dies)
            with pytest.raises(KeyboardInterrupt):
                Reconciliation(cloud.settings, engine, *target_for(cloud.settings)).reconcile()
    finally:
        engine.dispose()
    assert (cloud.served(), requests.history(cloud.settings.database)[0].state) == ("deposit-v2", "testing")
    with releasing(cloud.settings):
        assert requests.wait(cloud.settings.database, asked.id, WAIT).state == "live"
        assert cloud.served() == "deposit-v2"


def test_traffic_is_withdrawn_to_the_version_without_a_model(cloud: Cloud) -> None:
    with releasing(cloud.settings):
        release(cloud.settings, "deposit-v1")
    _, traffic = target_for(cloud.settings)
    traffic.withdraw()
    assert (cloud.host.live(), traffic.upstream()) == ("1", ())


def test_a_target_without_a_function_is_refused_by_name(cloud: Cloud) -> None:
    with pytest.raises(ConfigError, match="DEPOSIT_RELEASE__LAMBDA_FUNCTION is not set"):
        target_for(cloud.settings.changed("release", lambda_function=""))


def _stored(cloud: Cloud) -> set[str]:
    url = cloud.settings.database.url
    assert url is not None
    with psycopg.connect(url.get_secret_value().replace("+psycopg", "")) as connection:
        return {
            identity for (identity,) in connection.execute("SELECT prediction_id::text FROM predictions").fetchall()
        }
