"""Sources of the campaign history: each is fetched into one local file with a known sha256."""

import csv
import errno
import fnmatch
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from sqlalchemy import URL

from deposit.data.downloads import Bearer, download
from deposit.data.tables.unpacking import copy, unpacked
from deposit.database import engine_for, reachable
from deposit.errors import ConfigError, IntegrityError, SourceError, located
from deposit.files import file_sha256
from deposit.progress import Progress
from deposit.sections import IngestSettings, StoreSettings
from deposit.settings import REPOSITORY
from deposit.store import Bucket, ObjectStore, split_uri

ORIGINAL = "bank-additional-full.csv"
ORIGINAL_SHA256 = "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8"
BUNDLED = REPOSITORY / "data" / f"{ORIGINAL}.xz"
_BATCH = 10_000


@dataclass(frozen=True)
class Source:
    """A fetched source, as an unpacked CSV, .xlsx or Parquet file; `name` says where it is from, without secrets."""

    name: str
    path: Path
    sha256: str


def fetch(settings: IngestSettings, folder: Path, progress: Progress, store: ObjectStore | None = None) -> Source:
    """Fetch the source into a file in `folder`; only source `s3` uses `store`.

    Raises ConfigError (a setting is missing), SourceError, IntegrityError or UpstreamError.
    """
    if settings.source == "s3":
        return _s3(settings, folder, progress, store or ObjectStore(StoreSettings()))
    return _FETCH[settings.source](settings, folder, progress)


def _bundled(_settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    progress(f"reading the bundled {ORIGINAL}")
    path = from_file(BUNDLED, folder / ORIGINAL)
    return Source(f"bundled {ORIGINAL}", path, _checksum(path, f"the bundled {ORIGINAL}", ORIGINAL_SHA256))


def _uci(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    archive = download(settings.uci_url, folder / "uci.zip", progress)
    path = from_file(archive, folder / ORIGINAL, settings.uci_url, ORIGINAL)
    return Source(settings.uci_url, path, _checksum(path, f"{ORIGINAL} of {settings.uci_url}", ORIGINAL_SHA256))


def _kaggle(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    url = f"{settings.kaggle_url.rstrip('/')}/api/v1/datasets/download/{settings.kaggle_dataset}"
    archive = download(url, folder / "kaggle.zip", progress, _kaggle_auth(settings), "DEPOSIT_INGEST__KAGGLE_TOKEN")
    path = from_file(archive, folder / ORIGINAL, url, ORIGINAL)
    return Source(f"kaggle {settings.kaggle_dataset}", path, _checksum(path, f"{ORIGINAL} of {url}", settings.sha256))


def _kaggle_auth(settings: IngestSettings) -> httpx.Auth:
    """Authenticate by API token (`KGAT_…`), or by the older pair of username and key; only the pair has a colon."""
    token = settings.kaggle_token.get_secret_value().strip() if settings.kaggle_token else ""
    user, colon, key = token.partition(":")
    if colon and user and key:
        return httpx.BasicAuth(user, key)
    if colon or not token or not token.isascii() or not token.isprintable():
        raise ConfigError(
            "source `kaggle` needs DEPOSIT_INGEST__KAGGLE_TOKEN: an API token (KGAT_…) or username:key of kaggle.com, "
            "Settings, API"
        )
    return Bearer(token)


def _file(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    if settings.path is None:
        raise ConfigError(
            "source `file` needs DEPOSIT_INGEST__PATH: the file (CSV, .xlsx or Parquet; plain, .gz, .xz or .zip)"
        )
    progress(f"reading {settings.path}")
    path = from_file(settings.path, folder / "file.csv", wanted=ORIGINAL)
    return Source(str(settings.path), path, _checksum(path, str(settings.path), settings.sha256))


def _s3(settings: IngestSettings, folder: Path, progress: Progress, store: ObjectStore) -> Source:
    uri = settings.object_pattern(datetime.now(UTC).date())
    if uri is None:
        raise ConfigError("source `s3` needs DEPOSIT_INGEST__S3_URI: the object, like s3://bank/calls-{month}.csv")
    name, pattern = split_uri(uri)
    bucket = store.bucket(name, "DEPOSIT_INGEST__S3_URI")
    key = _newest(bucket, pattern)
    progress(f"reading {bucket.uri(key)}")
    bucket.download(key, folder / "object")
    path = from_file(folder / "object", folder / "s3.csv", bucket.uri(key), ORIGINAL)
    return Source(bucket.uri(key), path, _checksum(path, bucket.uri(key), settings.sha256))


def _newest(bucket: Bucket, pattern: str) -> str:
    """The most recently written key that matches a pattern, by the same matching as Airflow's sensor."""
    prefix = re.split(r"[\[*?]", pattern, maxsplit=1)[0]
    matching = [each for each in bucket.objects(prefix) if fnmatch.fnmatchcase(each.key, pattern)]
    if not matching:
        raise SourceError(
            f"{bucket.uri(pattern)} does not exist yet: wait for the file, or correct DEPOSIT_INGEST__S3_URI"
        )
    return max(matching, key=lambda each: (each.written_at, each.key)).key


def _postgres(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    """Stream the query's rows through a server-side cursor, with one batch in memory at a time."""
    if settings.url is None or not settings.query:
        raise ConfigError("source `postgres` needs DEPOSIT_INGEST__URL and DEPOSIT_INGEST__QUERY")
    engine = engine_for(settings.url.get_secret_value(), "DEPOSIT_INGEST__URL")
    url = engine.url
    name = URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()
    path, done = folder / "query.csv", 0
    options = {"stream_results": True, "max_row_buffer": _BATCH, "no_parameters": True, "postgresql_readonly": True}
    try:
        with reachable(engine), engine.connect() as connection:
            result = connection.execution_options(**options).exec_driver_sql(settings.query)
            if not result.returns_rows:
                raise SourceError("DEPOSIT_INGEST__QUERY gives no rows: it must be one SELECT")
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, delimiter=";", lineterminator="\n")
                writer.writerow(result.keys())
                for batch in result.partitions(_BATCH):
                    writer.writerows(batch)
                    done += len(batch)
                    progress(f"{done} rows from {name}")
    finally:
        engine.dispose()
    return Source(name, path, file_sha256(path))


_FETCH: dict[str, Callable[[IngestSettings, Path, Progress], Source]] = {
    "bundled": _bundled,
    "uci": _uci,
    "kaggle": _kaggle,
    "file": _file,
    "postgres": _postgres,
}


def _checksum(path: Path, where: str, expected: str | None) -> str:
    if path.stat().st_size == 0:
        raise SourceError(f"{where}: the file is empty")
    sha256 = file_sha256(path)
    if expected and sha256 != expected.lower():
        raise IntegrityError(
            f"{where}: the sha256 of the CSV is {sha256}, not {expected.lower()}: "
            "it was changed or truncated; fetch it again or correct the expected sha256"
        )
    return sha256


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def folder() -> Iterator[Path]:
    """Create a temporary folder for one source. Raises ConfigError if it cannot be created or the disk is full."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="deposit-")
    except OSError as error:
        raise ConfigError(f"cannot create a temporary folder ({error}): free disk space or set TMPDIR") from error
    with temporary as name, disk(Path(name)):
        yield Path(name)


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Convert a full disk inside the block to ConfigError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ConfigError(f"no space left in {place}: free some, or set TMPDIR to a folder with more") from error


def from_file(path: Path, target: Path, where: str = "", wanted: str = "") -> Path:
    """Copy a file to `target`, unpacking it whatever its name is; `wanted` names the file to take from an archive.

    Raises SourceError, naming `where` or the path, if the file cannot be read.
    """
    try:
        with (
            located(where or str(path)),
            unpacked(path.open("rb"), tempfile.TemporaryFile, wanted=wanted) as inner,
            target.open("wb") as stream,
        ):
            copy(inner, stream, None)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise SourceError(f"{path}: cannot be read ({error.strerror}): correct the path or its permissions") from error
    return target
