"""Settings that name a secret of AWS Secrets Manager, against a simulated one."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from simulated_aws.server import SimulatedAws

from deposit import secretsmanager
from deposit.errors import ConfigError, UpstreamError
from deposit.settings import load_settings, open_settings, variables

pytestmark = pytest.mark.servers
VARIABLE = "DEPOSIT_STORE__SECRET_KEY_SECRET"


@pytest.fixture(scope="module")
def manager(simulated_aws: SimulatedAws) -> Iterator[Any]:
    """A client of Secrets Manager, with some secrets in it; the environment leads to it."""
    client = simulated_aws.client("secretsmanager")
    for name, text in {
        "plain": " s3cret\n",
        "object": json.dumps({"key": "member", "port": 5432, "list": []}),
        "empty": " ",
        "words": "no object",
    }.items():
        client.create_secret(Name=name, SecretString=text)
    client.create_secret(Name="bytes", SecretBinary=b"\xff")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in simulated_aws.environment.items():
            environment.setenv(name, value)
        yield client
    simulated_aws.reset()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """As in a process that has asked nothing yet."""
    secretsmanager.read_secret.cache_clear()


def secret_key() -> str:
    secret = load_settings().store.secret_key
    assert secret is not None
    return secret.get_secret_value()


@pytest.mark.parametrize(
    ("reference", "value"), [("plain", "s3cret"), ("object#key", "member"), ("object#port", "5432")]
)
def test_a_value_may_be_in_secrets_manager(
    reference: str, value: str, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, reference)
    assert secret_key() == value
    assert variables(load_settings())["DEPOSIT_STORE__SECRET_KEY"] == value


def test_an_arn_is_asked_in_its_own_region(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, manager.describe_secret(SecretId="object")["ARN"] + "#key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert secret_key() == "member"


def test_a_secret_is_read_once_a_process(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.create_secret(Name="changing", SecretString="first")
    monkeypatch.setenv(VARIABLE, "changing")
    assert secret_key() == "first"
    manager.put_secret_value(SecretId="changing", SecretString="second")
    assert secret_key() == "first"


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("absent", "secret absent cannot be read .ResourceNotFoundException.: there is none"),
        ("empty", "secret empty is empty"),
        ("bytes", "secret bytes holds bytes"),
        ("words#key", "secret words is no JSON object: remove `#key`"),
        ("object#none", "secret object has no value 'none'"),
        ("object#list", "secret object has no value 'list'"),
    ],
)
def test_a_secret_that_gives_no_value_is_named_with_its_variable(
    reference: str, sentence: str, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, reference)
    with pytest.raises(ConfigError, match=f"^{VARIABLE}: the {sentence}") as refused:
        load_settings()
    assert "member" not in str(refused.value)


@pytest.mark.parametrize("first", [None, "0"])
def test_what_somebody_else_writes_in_between_is_kept(manager: Any, first: str | None) -> None:
    name = f"shared-{first}"
    manager.create_secret(Name=name, **({} if first is None else {"SecretString": first}))
    read: list[str | None] = []

    def added(text: str | None) -> str:
        read.append(text)
        if len(read) < 3:
            secretsmanager.replace(VARIABLE, name, lambda now: f"{now or ''}{len(read)}")
        return f"{text or ''}x"

    secretsmanager.replace(VARIABLE, name, added)
    start = first or ""
    assert read == [first, f"{start}1", f"{start}12"]
    assert secretsmanager.fetch(VARIABLE, name) == f"{start}12x"


def test_a_secret_that_is_not_there_is_not_made(manager: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"secret absent cannot be written .ResourceNotFoundException.: there is none"
    ):
        secretsmanager.replace(VARIABLE, "absent", lambda _: "text")


def test_a_secret_that_others_never_stop_writing_is_given_up(manager: Any) -> None:
    manager.create_secret(Name="busy", SecretString="0")

    def overtaken(text: str | None) -> str:
        manager.put_secret_value(SecretId="busy", SecretString=f"{text}1")
        return "mine"

    with pytest.raises(UpstreamError, match="other writers keep changing the secret busy"):
        secretsmanager.replace(VARIABLE, "busy", overtaken)
    assert set(secretsmanager.fetch(VARIABLE, "busy")) == {"0", "1"}


def test_a_value_and_its_secret_cannot_both_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "plain")
    monkeypatch.setenv("DEPOSIT_STORE__SECRET_KEY", "in the variable")
    with pytest.raises(ConfigError, match=f"{VARIABLE} are both set"):
        load_settings()


@pytest.mark.parametrize("name", ["DEPOSIT_STORE__SECRET", "DEPOSIT_TRAIN__TRAILS_SECRET", "DEPOSIT_SECRET"])
def test_unknown_names_by_secret_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "plain")
    with pytest.raises(ConfigError, match=f"unknown setting {name}"):
        load_settings()


def test_without_a_region_it_says_so(manager: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv(VARIABLE, "plain")
    with pytest.raises(ConfigError, match=f"{VARIABLE}: plain is in no region: set AWS_DEFAULT_REGION"):
        load_settings()


def test_what_uses_no_secret_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv(VARIABLE, "plain")
    monkeypatch.setenv("DEPOSIT_TRAIN__TRIALS", "3")
    assert (open_settings().train.trials, open_settings().store.secret_key) == (3, None)
    with pytest.raises(UpstreamError, match=f"{VARIABLE}: the secret plain cannot be read .*reaches AWS"):
        load_settings()
