"""Dataset versions in the object store: content-addressed and published atomically.

A version is `datasets/<version>/period=YYYY-MM/part.parquet` and, written last, `datasets/<version>/manifest.json`.
`datasets/latest` names the most recently ingested version, even if an earlier ingest had published it.
Frames hold `id` int64, `period` str, the features by name and `y` int8, in the order of the source.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from deposit.data.columns import FEATURES, SCHEMA_VERSION, TARGET
from deposit.errors import IntegrityError, SourceError
from deposit.store import Bucket

PREFIX = "datasets/"
_MANIFEST = "manifest.json"
_LATEST = f"{PREFIX}latest"


_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
SCHEMA = pa.schema(
    [("id", pa.int64()), ("period", pa.string())]
    + [(column.name, _TYPES[column.kind]) for column in FEATURES]
    + [(TARGET, pa.int8())]
)


class PartFile(BaseModel):
    """One Parquet object of a version."""

    model_config = ConfigDict(frozen=True)

    key: str
    period: str
    rows: int
    sha256: str


class Manifest(BaseModel):
    """Contents and origin of a version; `created` is UTC in ISO format, `parent` the latest version before it."""

    model_config = ConfigDict(frozen=True)

    version: str
    source: str
    source_sha256: str
    rows: int
    rejected: int
    schema_version: int
    parent: str | None
    created: str
    first_period: str
    last_period: str
    files: tuple[PartFile, ...]


@dataclass(frozen=True)
class Origin:
    """What a manifest records about the source."""

    source: str
    sha256: str
    rejected: int


def version_of(frame: pd.DataFrame) -> str:
    """Version id of a frame's content: a hash of schema version, column names and values, and nothing else."""
    digest = hashlib.sha256(json.dumps([SCHEMA_VERSION, SCHEMA.names]).encode())
    for field in SCHEMA:
        values = frame[field.name]
        if pa.types.is_string(field.type):
            codes, texts = pd.factorize(values.astype("str"))
            digest.update(json.dumps(list(texts)).encode() + codes.astype("<i8").tobytes())
        else:
            numbers = values.to_numpy(field.type.to_pandas_dtype()) + np.int8(0)  # hash -0.0 like 0.0
            digest.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:16]


def publish(bucket: Bucket, frame: pd.DataFrame, origin: Origin) -> tuple[Manifest, bool]:
    """Write a version unless it exists, and name it the latest. Returns its manifest and whether this call created it.

    Idempotent. A crash at any point leaves no partial version visible.
    """
    version = version_of(frame)
    published, created = _published(bucket, version), False
    if published is None:
        before = latest(bucket)
        groups = frame.groupby("period", sort=True, observed=True)
        files = tuple(_write_part(bucket, version, str(period), rows) for period, rows in groups)
        published = Manifest(
            version=version,
            source=origin.source,
            source_sha256=origin.sha256,
            rows=len(frame),
            rejected=origin.rejected,
            schema_version=SCHEMA_VERSION,
            parent=before.version if before else None,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            first_period=files[0].period,
            last_period=files[-1].period,
            files=files,
        )
        created = bucket.put_if_absent(_manifest_key(version), published.model_dump_json(indent=1).encode())
        if not created:  # another ingest of the same rows won the race
            published = manifest(bucket, version)
    bucket.put(_LATEST, version.encode())
    return published, created


def versions(bucket: Bucket) -> list[Manifest]:
    """All published versions, oldest first."""
    names = [key.split("/")[1] for key in bucket.keys(PREFIX) if key.endswith(f"/{_MANIFEST}")]
    manifests = [manifest(bucket, name) for name in names]
    return sorted(manifests, key=lambda manifest: (manifest.created, manifest.version))


def latest(bucket: Bucket) -> Manifest | None:
    """The most recently ingested version, or None if there is none yet."""
    try:
        return manifest(bucket, bucket.get(_LATEST).decode())
    except SourceError:
        # an ingest was killed before it wrote `latest`: it had published the newest version
        return next(reversed(versions(bucket)), None)


def manifest(bucket: Bucket, version: str) -> Manifest:
    """Read a version's manifest. Raises SourceError if it was never published, IntegrityError if it is damaged."""
    try:
        data = bucket.get(_manifest_key(version))
    except SourceError as error:
        raise SourceError(f"there is no dataset version {version!r} in {bucket.name}: run `deposit ingest`") from error
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(
            f"{uri(bucket, version)} is damaged: restore the object, or delete it and ingest again"
        ) from error


def load(bucket: Bucket, version: str, excluded: Sequence[str] = ()) -> pd.DataFrame:
    """Load the rows of a version in order, without those of the excluded months.

    Raises SourceError if there is no such version, IntegrityError if an object's bytes have changed.
    """
    tables = [read_part(bucket, part) for part in manifest(bucket, version).files]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame[~frame["period"].isin(excluded)].reset_index(drop=True) if excluded else frame


def uri(bucket: Bucket, version: str) -> str:
    """URI of a version's manifest."""
    return bucket.uri(_manifest_key(version))


def _published(bucket: Bucket, version: str) -> Manifest | None:
    try:
        return manifest(bucket, version)
    except SourceError:
        return None


def _manifest_key(version: str) -> str:
    return f"{PREFIX}{version}/{_MANIFEST}"


def _write_part(bucket: Bucket, version: str, period: str, rows: pd.DataFrame) -> PartFile:
    table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=True)
    data = buffer.getvalue()
    key = f"{PREFIX}{version}/period={period}/part.parquet"
    bucket.put(key, data)
    return PartFile(key=key, period=period, rows=len(rows), sha256=hashlib.sha256(data).hexdigest())


def read_part(bucket: Bucket, part: PartFile) -> pa.Table:
    """Read one object of a version. Raises SourceError if it is missing, IntegrityError if its digest differs."""
    data = bucket.get(part.key)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != part.sha256:
        raise IntegrityError(
            f"{bucket.uri(part.key)}: sha256 is {sha256}, not {part.sha256} as published: restore the object"
        )
    return pq.ParquetFile(io.BytesIO(data)).read()
