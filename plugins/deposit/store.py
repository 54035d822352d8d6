"""The object store: S3 on AWS, MinIO or SeaweedFS, by settings alone.

Needs no model library, so that Airflow's environment can import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deposit.errors import ConfigError, SourceError, UpstreamError
from deposit.sections import StoreSettings

_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class ObjectStore:
    """Objects by bucket and key. Raises UpstreamError when the store does not answer or refuses.

    Args:
        settings: where it is and the key to it.
        connect_timeout: seconds.
        read_timeout: seconds without a byte.
        retries: how often a request is sent again at most.
    """

    def __init__(
        self, settings: StoreSettings, connect_timeout: float = 5, read_timeout: float = 60, retries: int = 3
    ) -> None:
        self.settings = settings
        secret = settings.secret_key.get_secret_value() if settings.secret_key else None
        self._where = settings.endpoint_url or f"AWS S3 ({settings.region})"
        self._client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=secret,
            config=Config(
                retries={"max_attempts": retries, "mode": "standard"},
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
            ),
        )

    def buckets(self) -> list[str]:
        """Names of the buckets that the product uses."""
        names = self.settings
        return [
            names.data_bucket,
            names.mlflow_bucket,
            names.bentos_bucket,
            names.reports_bucket,
            names.logs_bucket,
        ]

    def ensure_buckets(self) -> None:
        """Make the buckets that are missing."""
        with self._translated("list buckets"):
            there = {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}
            for bucket in self.buckets():
                if bucket not in there:
                    self._client.create_bucket(Bucket=bucket)

    def put(self, bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object and return its URI."""
        with self._translated(f"write {bucket}/{key}"):
            self._client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)
        return f"s3://{bucket}/{key}"

    def put_if_absent(self, bucket: str, key: str, data: bytes) -> bool:
        """Write an object unless the key exists; one of two racing writers wins. True if this one wrote."""
        with self._translated(f"publish {bucket}/{key}"):
            try:
                self._client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _EXISTS:
                    return False
                raise
        return True

    def get(self, bucket: str, key: str, limit: int | None = None) -> bytes:
        """Read an object. Raises SourceError if there is none, or if it has more than `limit` bytes."""
        with self._translated(f"read {bucket}/{key}"):
            found = self._client.get_object(Bucket=bucket, Key=key)
            if limit is not None and found["ContentLength"] > limit:
                found["Body"].close()
                raise SourceError(f"{bucket}/{key} has {found['ContentLength']} bytes, allowed are {limit}")
            body: bytes = found["Body"].read()
        return body

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the key holds an object."""
        with self._translated(f"look at {bucket}/{key}"):
            try:
                self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
        return True

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys under a prefix, sorted."""
        with self._translated(f"list {bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; none there is fine."""
        with self._translated(f"delete {bucket}/{key}"):
            self._client.delete_object(Bucket=bucket, Key=key)

    def upload(self, path: Path, bucket: str, key: str) -> str:
        """Write a file of any size and return its URI."""
        with self._translated(f"write {bucket}/{key}"):
            self._client.upload_file(str(path), bucket, key)
        return f"s3://{bucket}/{key}"

    def download(self, uri: str, path: Path) -> None:
        """Read the object of an `s3://bucket/key` URI into a file."""
        bucket, key = split_uri(uri)
        with self._translated(f"read {uri}"):
            self._client.download_file(bucket, key, str(path))

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if _code(error) in _ABSENT:
                raise SourceError(f"cannot {action} on {self._where}: there is no such object") from error
            raise UpstreamError(f"cannot {action} on {self._where}: {error}") from error
        except S3UploadFailedError as error:
            raise UpstreamError(f"cannot {action} on {self._where}: {error}") from error
        except BotoCoreError as error:
            raise UpstreamError(
                f"cannot {action}: the object store {self._where} does not answer ({type(error).__name__}); "
                "start it (`deposit up`) or correct DEPOSIT_STORE__ENDPOINT_URL and its keys"
            ) from error


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key). Raises ConfigError for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ConfigError(f"not an object's URI: {uri!r} (expected s3://bucket/key)")
    return parts.netloc, parts.path.lstrip("/")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
