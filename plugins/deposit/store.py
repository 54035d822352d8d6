"""The object store: AWS S3, MinIO or SeaweedFS, by its settings only.

Needs no model library, so that Airflow's environment can import it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from deposit.aws_errors import Refusal, code_of, refusal_of, refused_by_store
from deposit.errors import ConfigError, SourceError, UpstreamError
from deposit.sections import StoreSettings

_DEFAULT_REGION = "us-east-1"
"""The AWS region that must not be named when a bucket is created there."""


class ObjectStore:
    """The buckets of one store. Raises UpstreamError if the store does not answer or refuses a request.

    Raises ConfigError if a setting must be corrected: a bucket does not exist, or belongs to another account.

    Args:
        settings: address of the store and its credentials.
        connect_timeout: seconds.
        read_timeout: seconds without receiving a byte.
        retries: maximum number of retries of a request.
    """

    def __init__(
        self, settings: StoreSettings, connect_timeout: float = 5, read_timeout: float = 60, retries: int = 3
    ) -> None:
        import boto3  # takes half a second, which commands without a store need not wait for
        from botocore.config import Config

        self.settings = settings
        secret = settings.secret_key.get_secret_value() if settings.secret_key else None
        config = Config(
            retries={"max_attempts": retries, "mode": "standard"},
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
        )
        with self._translated("connect"):
            self._client = boto3.client(
                "s3",
                endpoint_url=settings.endpoint_url,
                region_name=settings.region,
                aws_access_key_id=settings.access_key,
                aws_secret_access_key=secret,
                config=config,
            )

    def buckets(self) -> list[str]:
        """Names of all buckets in use."""
        return list(_settings_of_buckets(self.settings))

    def ensure_buckets(self) -> None:
        """Create the buckets that are missing; existing buckets need only the right to be listed."""
        for name in self.buckets():
            if not self.bucket(name).is_there():
                self._create(name)

    def bucket(self, name: str, setting: str | None = None) -> "Bucket":
        """A bucket by name; `setting` is the setting that names it, if it is none of `buckets`."""
        translated = self._translated
        named = setting or _settings_of_buckets(self.settings).get(name, "its name")
        key = self.settings.kms_key
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        return Bucket(self._client, name, lambda action: translated(action, name, named), encryption)

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
        name, key = split_uri(uri)
        self.bucket(name).download(key, path)

    def _create(self, name: str) -> None:
        region = self.settings.region
        elsewhere = self.settings.endpoint_url is None and region != _DEFAULT_REGION
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
        with self._translated("create a bucket", name, _settings_of_buckets(self.settings)[name]):
            try:
                self._client.create_bucket(Bucket=name, **place)
            except ClientError as error:
                if code_of(error) != "BucketAlreadyOwnedByYou":  # created meanwhile by a concurrent start
                    raise

    @contextmanager
    def _translated(self, action: str, bucket: str = "", setting: str = "") -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError

        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise refused_by_store(self.settings, action, bucket, setting, error) from error
        except S3UploadFailedError as error:
            cause = error.__context__
            if not isinstance(cause, ClientError):
                raise UpstreamError(f"cannot {action}: {error}") from error
            raise refused_by_store(self.settings, action, bucket, setting, cause) from error


@dataclass(frozen=True)
class StoredObject:
    """An object's key, time of its last write, size in bytes, and ETag."""

    key: str
    written_at: datetime
    size: int = 0
    etag: str = ""


class Bucket:
    """The objects of one bucket by key; created by `ObjectStore.bucket`. Raises as `ObjectStore` does."""

    def __init__(
        self,
        client: Any,
        name: str,
        translated: Callable[[str], AbstractContextManager[None]],
        encryption: dict[str, str],
    ) -> None:
        self.name = name
        self._client = client
        self._translated = translated
        self._encryption = encryption

    def uri(self, key: str) -> str:
        """The URI of an object."""
        return f"s3://{self.name}/{key}"

    def is_there(self) -> bool:
        """Whether the bucket exists; it is listed because the response to `head` has no body with an error code."""
        with self._translated(f"look up {self.name}"):
            try:
                self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)
            except ClientError as error:
                if refusal_of(error) is Refusal.NO_BUCKET:
                    return False
                raise
        return True

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object and return its URI."""
        with self._translated(f"write {self.name}/{key}"):
            self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type, **self._encryption)
        return self.uri(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object unless the key exists; one of two concurrent writers wins. True if this one wrote."""
        with self._translated(f"publish {self.name}/{key}"):
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=data, IfNoneMatch="*", **self._encryption)
            except ClientError as error:
                if refusal_of(error) is Refusal.EXISTS:
                    return False
                raise
        return True

    def get(self, key: str, limit: int | None = None) -> bytes:
        """Read an object. Raises SourceError if it does not exist, or has more than `limit` bytes."""
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
        with self._translated(f"look up {self.name}/{key}"):
            try:
                self._client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if refusal_of(error) in (Refusal.ABSENT, Refusal.NO_BUCKET):
                    return False
                raise
        return True

    def objects(self, prefix: str = "") -> list[StoredObject]:
        """All objects under a prefix, sorted by key."""
        with self._translated(f"list {self.name}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            listed = [
                StoredObject(item["Key"], item["LastModified"], item["Size"], item["ETag"].strip('"'))
                for page in pages
                for item in page.get("Contents", [])
            ]
        return sorted(listed, key=lambda stored: stored.key)

    def keys(self, prefix: str = "") -> list[str]:
        """All keys under a prefix, sorted."""
        return [stored.key for stored in self.objects(prefix)]

    def delete(self, key: str) -> None:
        """Delete an object, if it exists."""
        with self._translated(f"delete {self.name}/{key}"):
            self._client.delete_object(Bucket=self.name, Key=key)

    def upload(self, path: Path, key: str) -> str:
        """Write a file of any size and return its URI."""
        with self._translated(f"write {self.name}/{key}"):
            self._client.upload_file(str(path), self.name, key, ExtraArgs=self._encryption)
        return self.uri(key)

    def download(self, key: str, path: Path) -> None:
        """Read an object of any size into a file."""
        with self._translated(f"read {self.uri(key)}"):
            self._client.download_file(self.name, key, str(path))


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` as (bucket, key). Raises ConfigError for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ConfigError(f"not an object's URI: {uri!r} (expected s3://bucket/key)")
    return parts.netloc, parts.path.lstrip("/")


def _settings_of_buckets(settings: StoreSettings) -> dict[str, str]:
    """All buckets in use, each with the setting that names it."""
    fields = ("data_bucket", "mlflow_bucket", "bentos_bucket", "reports_bucket", "logs_bucket")
    return {getattr(settings, field): f"DEPOSIT_STORE__{field}".upper() for field in fields}
