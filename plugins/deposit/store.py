"""The object store: S3 on AWS, MinIO or SeaweedFS, by settings alone.

Needs no model library, so that Airflow's environment can import it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
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
    """The buckets of one store. Raises UpstreamError when the store does not answer or refuses.

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
        """Create the buckets that are missing."""
        with self._translated("list buckets"):
            present = {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}
            for bucket in self.buckets():
                if bucket not in present:
                    self._client.create_bucket(Bucket=bucket)

    def bucket(self, name: str) -> "Bucket":
        """A bucket by name."""
        return Bucket(self._client, name, self._translated)

    @property
    def data(self) -> "Bucket":
        """The bucket of the dataset versions."""
        return self.bucket(self.settings.data_bucket)

    @property
    def bentos(self) -> "Bucket":
        """The bucket of the packaged services."""
        return self.bucket(self.settings.bentos_bucket)

    @property
    def reports(self) -> "Bucket":
        """The bucket of the monitoring reports."""
        return self.bucket(self.settings.reports_bucket)

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


class Bucket:
    """Objects of one bucket by key; `ObjectStore` gives it. Raises as the store does."""

    def __init__(self, client: Any, name: str, translated: Callable[[str], AbstractContextManager[None]]) -> None:
        self.name = name
        self._client = client
        self._translated = translated

    def uri(self, key: str) -> str:
        """Where an object is."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object and return its URI."""
        with self._translated(f"write {self.name}/{key}"):
            self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type)
        return self.uri(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless the key exists; one of two racing writers wins. True if this one wrote."""
        with self._translated(f"publish {self.name}/{key}"):
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _EXISTS:
                    return False
                raise
        return True

    def get(self, key: str, limit: int | None = None) -> bytes:
        """Read an object. Raises SourceError if there is none, or if it has more than `limit` bytes."""
        with self._translated(f"read {self.name}/{key}"):
            answer = self._client.get_object(Bucket=self.name, Key=key)
            size = answer["ContentLength"]
            if limit is not None and size > limit:
                answer["Body"].close()
                raise SourceError(f"{self.name}/{key} has {size} bytes, allowed are {limit}")
            body: bytes = answer["Body"].read()
        return body

    def exists(self, key: str) -> bool:
        """Whether the key holds an object."""
        with self._translated(f"look at {self.name}/{key}"):
            try:
                self._client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
        return True

    def keys(self, prefix: str = "") -> list[str]:
        """All keys under a prefix, sorted."""
        with self._translated(f"list {self.name}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def delete(self, key: str) -> None:
        """Remove an object; none there is fine."""
        with self._translated(f"delete {self.name}/{key}"):
            self._client.delete_object(Bucket=self.name, Key=key)

    def upload(self, path: Path, key: str) -> str:
        """Write a file of any size and return its URI."""
        with self._translated(f"write {self.name}/{key}"):
            self._client.upload_file(str(path), self.name, key)
        return self.uri(key)


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key). Raises ConfigError for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ConfigError(f"not an object's URI: {uri!r} (expected s3://bucket/key)")
    return parts.netloc, parts.path.lstrip("/")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
