"""The archive: months of `predictions` as Parquet files in the object store.

    archive/predictions/month=2010-05/<content>/part-00000.parquet …
                                               /_manifest.json      written last, after the parts were verified

A folder without a manifest is incomplete and ignored. Folders are named by a hash of their content. A month gets a
second folder if rows are stored after it was archived; a row may be in both, so readers must deduplicate.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
from pyarrow import csv, parquet

from deposit.errors import IntegrityError
from deposit.files import StateFolder, file_sha256
from deposit.log.day_digest import COLUMN_TYPES, MICROSECONDS, DayDigest
from deposit.log.entries import ID_BYTES
from deposit.sections import ArchiveSettings
from deposit.store import Bucket

PREFIX = "archive/predictions/"
MANIFEST = "_manifest.json"
PART_ROWS = 1_000_000
"""Rows per file, rounded up to a whole block: 50 to 70 MB."""
MEMORY = "256MB"
"""Memory limit of DuckDB; beyond it, joins and aggregations spill to disk."""
BLOCK_BYTES = 16 * 2**20
"""Bytes of PostgreSQL's CSV that are parsed at a time, about 80,000 rows."""
_PARQUET_TYPES = {
    "UUID": pa.uuid(),
    "TEXT": pa.string(),
    "SMALLINT": pa.int16(),
    "DOUBLE PRECISION": pa.float64(),
    "REAL": pa.float32(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
}
_CSV_TYPES = {"UUID": pa.string(), "TIMESTAMP WITH TIME ZONE": pa.int64()}
"""Types of columns that `_COPY_EXPRESSIONS` converts: to 32 hexadecimal digits, and to µs since the epoch."""
SCHEMA = pa.schema([(name, _PARQUET_TYPES[kind]) for name, kind in COLUMN_TYPES.items()])
_HIGH_CARDINALITY = {
    "prediction_id", "customer_id", "request_id", "probability", "latency_ms", "event_time", "stored_at",
}  # fmt: skip
_COPY_EXPRESSIONS = {"UUID": "replace({}::text, '-', '')", "TIMESTAMP WITH TIME ZONE": MICROSECONDS}
_INSERT_MANIFEST = """
INSERT INTO archives (month, content, uri, rows, stored_until) VALUES (%s, %s, %s, %s, to_timestamp(%s / 1000000.0))
ON CONFLICT DO NOTHING
"""
Chunk = bytes | bytearray | memoryview


class ArchivePart(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the archive; `first_day` and `last_day` are the range of its rows."""

    name: str
    rows: int
    size: int
    sha256: str
    first_day: str
    last_day: str


class ArchiveManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of the archive.

    Args:
        month: YYYY-MM, by the time of the predictions.
        content: name of the folder, a hash of the days.
        rows: number of rows in all parts.
        stored_until: newest `stored_at` of the rows, in µs since the epoch.
    """

    format: int = 1
    month: str
    content: str
    rows: int
    stored_until: int
    days: tuple[DayDigest, ...]
    parts: tuple[ArchivePart, ...]

    @property
    def folder(self) -> str:
        """Key prefix of the folder in the data bucket."""
        return f"{month_prefix(self.month)}{self.content}/"

    def parts_of(self, first_day: str, last_day: str) -> Iterator[ArchivePart]:
        """Return the parts that may have rows of these days, both inclusive."""
        return (part for part in self.parts if part.first_day <= last_day and part.last_day >= first_day)


@contextmanager
def scratch_folder(archive: ArchiveSettings, state: StateFolder) -> Iterator[Path]:
    """Yield a temporary local folder for the files of a month."""
    work = archive.work_dir or state.archive
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work) as folder:
        yield Path(folder)


def month_prefix(month: str) -> str:
    """Return the key prefix of all folders of a month."""
    return f"{PREFIX}month={month}/"


def content_of(days: Iterable[DayDigest]) -> str:
    """Return the name of the folder with these days: a hash of their digests."""
    lines = "".join(f"{day.day} {day.rows} {day.content}\n" for day in days)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def read_manifest(bucket: Bucket, key: str) -> ArchiveManifest:
    """Read a manifest by its key. Raises IntegrityError, and the errors of the store."""
    try:
        return msgspec.json.decode(bucket.get(key), type=ArchiveManifest)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"{bucket.uri(key)} is not a manifest of the archive ({error}): restore it") from error


def entered(connection: psycopg.Connection[Any], bucket: Bucket) -> list[ArchiveManifest]:
    """Return all manifests, after inserting them into the table `archives`: a killed run may not have done so."""
    keys = [key for key in bucket.keys(PREFIX) if key.endswith(f"/{MANIFEST}")]
    manifests = [read_manifest(bucket, key) for key in keys]
    for manifest in manifests:
        enter(connection, bucket, manifest)
    return manifests


def enter(connection: psycopg.Connection[Any], bucket: Bucket, manifest: ArchiveManifest) -> None:
    """Insert a manifest into the table `archives`, where readers look it up. Raises psycopg.Error."""
    uri = bucket.uri(manifest.folder + MANIFEST)
    connection.execute(_INSERT_MANIFEST, [manifest.month, manifest.content, uri, manifest.rows, manifest.stored_until])


def fetch(bucket: Bucket, manifest: ArchiveManifest, part: ArchivePart, folder: Path) -> Path:
    """Download a part to a local folder, and verify its sha256. Raises IntegrityError, and the errors of the store."""
    path = folder / f"{manifest.content}-{part.name}"
    bucket.download(manifest.folder + part.name, path)
    if file_sha256(path) != part.sha256:
        uri = bucket.uri(manifest.folder + part.name)
        raise IntegrityError(f"{uri} is not what was archived: restore an earlier version of it")
    return path


def copied_columns() -> str:
    """Return the SELECT list of `predictions` in the format that `tables` reads."""
    return ", ".join(_COPY_EXPRESSIONS.get(kind, "{}").format(f'"{name}"') for name, kind in COLUMN_TYPES.items())


def tables(copied: Iterable[Chunk]) -> Iterator[pa.Table]:
    """Parse the output of `COPY`, CSV without a header, into Arrow tables of `SCHEMA`, one per block."""
    types = {name: _CSV_TYPES.get(kind, _PARQUET_TYPES[kind]) for name, kind in COLUMN_TYPES.items()}
    for batch in batches(copied, types):
        columns = [
            _uuids(column) if field.type == pa.uuid() else column.cast(field.type)
            for column, field in zip(batch.columns, SCHEMA, strict=True)
        ]
        yield pa.table(columns, schema=SCHEMA)


def batches(copied: Iterable[Chunk], types: dict[str, Any]) -> Iterator[Any]:
    """Parse the output of `COPY` into Arrow record batches; `types` has the Arrow type of each column, by name."""
    source = _CopyStream(copied)
    if not source.fill():
        return
    convert = csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""],
        true_values=["t"], false_values=["f"],
    )  # fmt: skip
    yield from csv.open_csv(
        pa.PythonFile(source, "r"),
        csv.ReadOptions(column_names=list(types), block_size=BLOCK_BYTES),
        csv.ParseOptions(newlines_in_values=True),
        convert,
    )


def write_parts(blocks: Iterable[pa.Table], folder: Path) -> Iterator[tuple[Path, ArchivePart]]:
    """Write rows to files of about `PART_ROWS` and yield each; it is deleted when the next is requested.

    Rows must be ordered by day.
    """
    waiting, number = iter(blocks), 0
    dictionary_encoded = [field.name for field in SCHEMA if field.name not in _HIGH_CARDINALITY]
    while (block := next(waiting, None)) is not None:
        path = folder / f"part-{number:05d}.parquet"
        first, rows = _day(block, 0), 0
        with parquet.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=dictionary_encoded) as writer:
            while True:
                writer.write_table(block)
                rows, last = rows + len(block), _day(block, len(block) - 1)
                if rows >= PART_ROWS or (following := next(waiting, None)) is None:
                    break
                block = following
        size, sha256 = path.stat().st_size, file_sha256(path)
        yield path, ArchivePart(name=path.name, rows=rows, size=size, sha256=sha256, first_day=first, last_day=last)
        path.unlink()
        number += 1


class _CopyStream:
    """File-like object over chunks of bytes, for sequential reading."""

    closed = False

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def fill(self) -> bool:
        """Buffer the first chunk; returns False if there is none."""
        self._rest = self._rest or bytes(next(self._chunks, b""))
        return bool(self._rest)

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        pieces, count = [self._rest], len(self._rest)
        while size < 0 or count < size:
            chunk = bytes(next(self._chunks, b""))
            if not chunk:
                break
            pieces.append(chunk)
            count += len(chunk)
        content = b"".join(pieces)
        self._rest = content[size:] if size >= 0 else b""
        return content[:size] if size >= 0 else content

    def close(self) -> None:
        """Do nothing: the connection stays open."""


def _uuids(digits: Any) -> Any:
    """Convert 32 hexadecimal digits to 16-byte values, for all rows at once."""
    values = bytes.fromhex("".join(digits.to_pylist()))
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(ID_BYTES), len(digits), [None, pa.py_buffer(values)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _day(block: pa.Table, row: int) -> str:
    moment = block["event_time"][row].as_py()
    return str(moment.date().isoformat())
