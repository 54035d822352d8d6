"""By MLflow's own rules, of its own modules."""

import pytest
from mlflow.server.security_utils import is_allowed_host_header, should_block_cors_request

from deposit.deploy.compose.addresses import Publication
from deposit.deploy.compose.mlflow import allowed_hosts, allowed_origins, command
from deposit.sections import StoreSettings
from deposit.settings import Settings

LINK = "https://mlflow.bank.test"


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "10.0.0.5", "2001:db8::7"])
@pytest.mark.parametrize(
    "host",
    ["mlflow:5000", "localhost:5000", "localhost:31999", "localhost", "127.0.0.1:1", "[::1]:5000", "[::1]:31999"],
)
def test_it_is_asked_inside_and_from_this_machine_by_any_port(bound: str, host: str) -> None:
    assert is_allowed_host_header(allowed_hosts(None, Publication(bind_address=bound)), host)


@pytest.mark.parametrize(("own", "host"), [("127.0.0.2", "127.0.0.2:5001"), ("::1", "[::1]:5001")])
def test_it_is_asked_by_the_address_of_this_machine_that_is_bound(own: str, host: str) -> None:
    published = Publication(bind_address="10.0.0.5", loopback_address=own)
    assert is_allowed_host_header(allowed_hosts(None, published), host)
    assert not should_block_cors_request(f"http://{host}", "POST", allowed_origins(None, published))
    assert not is_allowed_host_header(allowed_hosts(None, published), "10.0.0.5:5000")


def test_it_is_asked_by_the_name_that_a_person_set() -> None:
    assert is_allowed_host_header(allowed_hosts(LINK, Publication()), "mlflow.bank.test")
    assert not should_block_cors_request("https://mlflow.bank.test", "POST", allowed_origins(LINK, Publication()))


@pytest.mark.parametrize("host", ["evil.test", "evil.test:5000", "1:5000", ":5000", "localhost.evil.test:5000", ""])
@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "0.0.0.0"])
def test_nobody_else_is_answered(bound: str, host: str) -> None:
    published = Publication(bind_address=bound)
    assert not is_allowed_host_header(allowed_hosts(LINK, published), host)
    assert should_block_cors_request(f"http://{host}x", "POST", allowed_origins(LINK, published))


def test_the_bucket_is_the_one_that_is_set() -> None:
    settings = Settings(store=StoreSettings(mlflow_bucket="other"))
    assert "--artifacts-destination=s3://other" in command(settings, Publication())
