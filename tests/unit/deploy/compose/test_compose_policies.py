from typing import Any

import pytest

from deposit.deploy.bucket_policies import ensure_users, grants, policies
from deposit.deploy.credentials import random_credentials
from deposit.errors import UpstreamError
from deposit.sections import StoreSettings

GRANTED = grants(StoreSettings(), random_credentials())


def allowed(name: str) -> set[tuple[str, str]]:
    """Pairs of an action and a resource."""
    document: dict[str, Any] = policies(GRANTED)[f"deposit-{name}"]
    assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
    return {
        (action, resource.removeprefix("arn:aws:s3:::"))
        for statement in document["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def test_every_grant_has_a_policy() -> None:
    assert set(policies(GRANTED)) == {"deposit-pipeline", "deposit-mlflow", "deposit-serving", "deposit-airflow"}


def test_services_read_models_and_nothing_else() -> None:
    assert allowed("serving") == {("s3:GetObject", "deposit-mlflow/*")}


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        ("pipeline", {"deposit-data", "deposit-bentos", "deposit-reports"}),
        ("mlflow", {"deposit-mlflow"}),
        ("airflow", {"deposit-logs"}),
    ],
)
def test_each_part_writes_its_buckets_alone(name: str, buckets: set[str]) -> None:
    assert {resource.removesuffix("/*") for _, resource in allowed(name)} == buckets
    for bucket in buckets:
        assert {("s3:PutObject", f"{bucket}/*"), ("s3:ListBucket", bucket)} <= allowed(name)


def test_nobody_may_do_everything_or_change_a_bucket() -> None:
    for grant in GRANTED:
        actions = {action for action, _ in allowed(grant.name)}
        assert not [action for action in actions if "*" in action or "Policy" in action or action.startswith("admin:")]
        assert not actions & {"s3:CreateBucket", "s3:DeleteBucket"}


def test_a_store_that_is_down_is_reported_in_one_line() -> None:
    with pytest.raises(UpstreamError, match=r"MinIO at http://127\.0\.0\.1:9 does not answer") as caught:
        ensure_users("http://127.0.0.1:9", "secret", GRANTED)
    assert "\n" not in str(caught.value)
