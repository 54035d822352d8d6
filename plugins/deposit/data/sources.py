"""Where the campaign history comes from: each source ends as one CSV file with a known sha256."""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from deposit.data import download, spool
from deposit.database import engine_for, reachable
from deposit.errors import ConfigError, IntegrityError, SourceError
from deposit.progress import Progress
from deposit.sections import IngestSettings
from deposit.settings import REPOSITORY

ORIGINAL = "bank-additional-full.csv"
ORIGINAL_SHA256 = "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8"
BUNDLED = REPOSITORY / "data" / f"{ORIGINAL}.xz"
_BATCH = 10_000


@dataclass(frozen=True)
class Source:
    """A source's rows as an unpacked file, CSV or Parquet; `name` says where they are from, without secrets."""

    name: str
    path: Path
    sha256: str


def fetch(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    """Bring the source's rows into a CSV file in `folder`.

    Raises ConfigError (a setting is missing), SourceError, IntegrityError or UpstreamError.
    """
    return _FETCH[settings.source](settings, folder, progress)


def _bundled(_settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    progress(f"reading the bundled {ORIGINAL}")
    path = spool.from_file(BUNDLED, folder / ORIGINAL)
    return Source(f"bundled {ORIGINAL}", path, _checked(path, f"the bundled {ORIGINAL}", ORIGINAL_SHA256))


def _uci(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    archive = download.fetch(settings.uci_url, folder / "uci.zip", progress)
    path = spool.from_file(archive, folder / ORIGINAL, settings.uci_url, ORIGINAL)
    return Source(settings.uci_url, path, _checked(path, f"{ORIGINAL} of {settings.uci_url}", ORIGINAL_SHA256))


def _kaggle(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    user, _, key = (settings.kaggle_token.get_secret_value() if settings.kaggle_token else "").partition(":")
    if not user or not key:
        raise ConfigError(
            "source `kaggle` needs DEPOSIT_INGEST__KAGGLE_TOKEN as username:key (kaggle.com, Settings, API)"
        )
    url = f"{settings.kaggle_url.rstrip('/')}/api/v1/datasets/download/{settings.kaggle_dataset}"
    archive = download.fetch(url, folder / "kaggle.zip", progress, (user, key), "DEPOSIT_INGEST__KAGGLE_TOKEN")
    path = spool.from_file(archive, folder / ORIGINAL, url, ORIGINAL)
    return Source(f"kaggle {settings.kaggle_dataset}", path, _checked(path, f"{ORIGINAL} of {url}", settings.sha256))


def _file(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    if settings.path is None:
        raise ConfigError(
            "source `file` needs DEPOSIT_INGEST__PATH: the file (CSV or Parquet; plain, .gz, .xz or .zip)"
        )
    progress(f"reading {settings.path}")
    path = spool.from_file(settings.path, folder / "file.csv", wanted=ORIGINAL)
    return Source(str(settings.path), path, _checked(path, str(settings.path), settings.sha256))


def _postgres(settings: IngestSettings, folder: Path, progress: Progress) -> Source:
    """Stream the query's rows through a server-side cursor; only one batch is in memory at a time."""
    if settings.url is None or not settings.query:
        raise ConfigError("source `postgres` needs DEPOSIT_INGEST__URL and DEPOSIT_INGEST__QUERY")
    engine = engine_for(settings.url.get_secret_value(), "DEPOSIT_INGEST__URL")
    there = engine.url
    name = URL.create(there.drivername, host=there.host, port=there.port, database=there.database).render_as_string()
    path, done = folder / "query.csv", 0
    options = {"stream_results": True, "max_row_buffer": _BATCH, "no_parameters": True, "postgresql_readonly": True}
    try:
        with reachable(engine, "DEPOSIT_INGEST__URL"), engine.connect() as connection:
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
    return Source(name, path, _sha256(path))


_FETCH: dict[str, Callable[[IngestSettings, Path, Progress], Source]] = {
    "bundled": _bundled,
    "uci": _uci,
    "kaggle": _kaggle,
    "file": _file,
    "postgres": _postgres,
}


def _checked(path: Path, where: str, expected: str | None) -> str:
    if path.stat().st_size == 0:
        raise SourceError(f"{where}: the file is empty")
    found = _sha256(path)
    if expected and found != expected.lower():
        raise IntegrityError(
            f"{where}: the sha256 of the CSV is {found}, not {expected.lower()}: "
            "it was changed or cut short; fetch it again or correct the expected sha256"
        )
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
