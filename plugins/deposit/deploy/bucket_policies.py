"""Access rights in the object store: one key per service with the least it needs, independent of the server."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from deposit.deploy.credentials import Credentials
from deposit.errors import UpstreamError
from deposit.sections import StoreSettings

ADMIN = "admin"
"""Access key of the store's administrator, who creates the buckets; no service has it."""


@dataclass(frozen=True)
class Grant:
    """A key, by name, with the buckets it may read objects from, and those it may read, list and write."""

    name: str
    secret: str = field(repr=False)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def grants(store: StoreSettings, secrets: Credentials) -> list[Grant]:
    """One grant per service: MLflow has its bucket, Airflow the logs, the pipeline the rest; serving reads MLflow's."""
    pipeline = (store.data_bucket, store.bentos_bucket, store.reports_bucket)
    return [
        Grant("pipeline", secrets.store_pipeline, writes=pipeline),
        Grant("mlflow", secrets.store_mlflow, writes=(store.mlflow_bucket,)),
        Grant("serving", secrets.store_serving, reads=(store.mlflow_bucket,)),
        Grant("airflow", secrets.store_airflow, writes=(store.logs_bucket,)),
    ]


_READ = ["s3:GetObject"]
_WRITE = [
    *_READ,
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
]
_LIST = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]


def policy_name(grant: Grant) -> str:
    """The name of a grant's policy."""
    return f"deposit-{grant.name}"


def policies(granted: list[Grant]) -> dict[str, dict[str, Any]]:
    """The policy documents by name; whatever they do not allow is denied."""
    return {policy_name(grant): {"Version": "2012-10-17", "Statement": _statements(grant)} for grant in granted}


def ensure_users(endpoint: str, admin_secret: str, granted: list[Grant]) -> None:
    """Create or update a MinIO user for each grant, with its secret and its policy only. Raises UpstreamError."""
    # imported here: only needed if the store is MinIO
    from minio import MinioAdmin
    from minio.credentials.providers import StaticProvider
    from minio.error import MinioAdminException
    from urllib3 import PoolManager, Timeout
    from urllib3.exceptions import HTTPError

    parts = urlsplit(endpoint)
    admin = MinioAdmin(
        endpoint=parts.netloc,
        credentials=StaticProvider(ADMIN, admin_secret),
        secure=parts.scheme == "https",
        http_client=PoolManager(timeout=Timeout(connect=5, read=30), retries=False),
    )
    documents = policies(granted)
    try:
        for grant in granted:
            name = policy_name(grant)
            admin.policy_add(name, policy=documents[name])
            # a user without a policy has no rights, so an interruption here does no harm
            admin.user_add(grant.name, grant.secret)
            admin.policy_set(name, user=grant.name)
    except MinioAdminException as error:
        raise UpstreamError(f"MinIO at {endpoint} refused to make its users: {_reason(error)}") from error
    except HTTPError as error:
        raise UpstreamError(f"MinIO at {endpoint} does not answer ({type(error).__name__}): start it") from error


def _statements(grant: Grant) -> list[dict[str, Any]]:
    statements = [
        _allow(_READ, [f"{bucket}/*" for bucket in grant.reads]),
        _allow(_WRITE, [f"{bucket}/*" for bucket in grant.writes]),
        _allow(_LIST, list(grant.writes)),
    ]
    return [statement for statement in statements if statement["Resource"]]


def _allow(actions: list[str], places: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{place}" for place in places]}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
