"""By MLflow's own rules, of its own modules."""

import pytest
from mlflow.server.security_utils import is_allowed_host_header

from deposit.deploy.compose.mlflow import command
from deposit.sections import StoreSettings


@pytest.mark.parametrize(
    ("host", "answered"),
    [("mlflow:5000", True), ("mlflow", False), ("localhost:5000", False), ("evil.test:5000", False)],
)
def test_it_answers_to_its_name_in_the_stack_alone(host: str, answered: bool) -> None:
    [option] = [word for word in command(StoreSettings()) if word.startswith("--allowed-hosts=")]
    assert is_allowed_host_header(option.partition("=")[2].split(","), host) == answered


def test_the_bucket_is_the_one_that_is_set() -> None:
    assert "--artifacts-destination=s3://other" in command(StoreSettings(mlflow_bucket="other"))
