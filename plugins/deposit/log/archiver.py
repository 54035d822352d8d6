"""The archiver: moves whole months of `predictions` from PostgreSQL to the archive.

A month is digested and copied in one snapshot. Its files are then read back from the store and digested by DuckDB; the
manifest is written only if both digests match. A day is dropped if the archive holds exactly its rows, which is checked
again under a lock that blocks inserts. A run that was killed at any point is resumed by the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from deposit.conninfo import connection_parameters
from deposit.data.period import Period, month_name, month_number, parse_period
from deposit.errors import ConfigError, IntegrityError, UpstreamError, remedy
from deposit.log import archive
from deposit.log.archive import ArchiveManifest, ArchivePart
from deposit.log.day_digest import DayDigest, day_of, filed_days, stored_day
from deposit.log.handover import Handover
from deposit.progress import Progress, log_progress
from deposit.sections import ArchiveSettings, DatabaseSettings, LogSettings
from deposit.settings import Settings
from deposit.store import Bucket, ObjectStore

Connection = psycopg.Connection[Any]
_MONTH_DAYS = 31
_STATES_SECONDS = 300
"""Window before the newest report in which every running shipper has reported the state of its spools."""
_DAYS = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'public.predictions'::regclass AND relname ~ '^predictions_[0-9]{8}$' ORDER BY relname
"""
_SHIPPED_UNTIL = """
SELECT min(at - make_interval(secs => oldest_seconds)), coalesce(sum(aside_rows), 0) FROM spool_states
WHERE at >= (SELECT max(at) FROM spool_states) - make_interval(secs => %s)
"""


class ArchiveRefusal(StrEnum):
    """Reason why a month, or a day of it, stays in PostgreSQL."""

    WAITING = "predictions of that time may still be in a spool"
    ASIDE = "entries are set aside in a spool: start the shipper of a version that can store them"
    LEFT = "a shipper left entries in the object store that are not in PostgreSQL yet"
    RECENT = "some of its rows were stored within the months that PostgreSQL keeps"
    IN_USE = "some of its days are in use, or got new rows meanwhile: run it again"


@dataclass(frozen=True)
class ArchivedMonth:
    """Result of archiving one month.

    Args:
        rows: number of newly archived rows; 0 if the archive held them all already.
        size: bytes of the new files.
        days: number of days dropped from PostgreSQL.
        refusal: why some of the month stays in PostgreSQL; None if all of it was dropped.
    """

    month: str
    rows: int = 0
    size: int = 0
    days: int = 0
    refusal: ArchiveRefusal | None = None


def archive_months(
    settings: Settings, month: str | None = None, progress: Progress = log_progress
) -> list[ArchivedMonth]:
    """Archive all months older than PostgreSQL keeps, or one of them. A concurrent run waits for the lock.

    Raises ConfigError, UpstreamError, or IntegrityError if the files differ from the rows: then nothing is dropped.
    """
    oldest = _oldest_kept(settings.archive, settings.log, datetime.now(UTC))
    if month is not None and parse_period(month).end > oldest:
        raise ConfigError(f"{month} is within the months that DEPOSIT_ARCHIVE__KEEP_MONTHS keeps in PostgreSQL")
    bucket = ObjectStore(settings.store).data
    with _session(settings.database) as connection, archive.scratch_folder(settings.archive, settings.state) as folder:
        manifests = archive.entered(connection, bucket)
        days = [day for (day,) in connection.execute(_DAYS) if parse_period(day_of(day)[:7]).end <= oldest]
        result = []
        for name in sorted({day_of(day)[:7] for day in days} if month is None else {month}):
            refusal = _refusal(connection, Handover.of(settings.log, settings.store), parse_period(name))
            if refusal:
                result.append(ArchivedMonth(name, refusal=refusal))
                continue
            partitions = [day for day in days if day_of(day)[:7] == name]
            archived = [day for manifest in manifests if manifest.month == name for day in manifest.days]
            result.append(_Archiver(connection, bucket, folder, progress).run(name, partitions, archived, oldest))
    return result


class _Archiver:
    """Archives months over a connection that holds the archive lock."""

    def __init__(self, connection: Connection, bucket: Bucket, folder: Path, progress: Progress) -> None:
        self._connection = connection
        self._bucket = bucket
        self._folder = folder
        self._progress = progress

    def run(
        self, month: str, partitions: Sequence[str], archived: Sequence[DayDigest], oldest: datetime
    ) -> ArchivedMonth:
        """Archive the partitions of a month that are not archived yet, unless rows were stored at or after `oldest`."""
        published = None
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._progress(f"{month}: counting {len(partitions)} days")
            counted = {part: stored_day(self._connection, part) for part in partitions}
            fresh = {
                part: day
                for part, (day, _) in counted.items()
                if day.rows and not any(day.matches(each) for each in archived)
            }
            stored_until = max((counted[part][1] for part in fresh), default=0)
            if stored_until >= oldest.timestamp() * 1e6:
                return ArchivedMonth(month, refusal=ArchiveRefusal.RECENT)
            if fresh:
                published = self._write(month, fresh, stored_until)
        if published is not None:
            self._compare(published)
            self._publish(published)
        dropped = sum(self._drop(part, day) for part, (day, _) in counted.items())
        return ArchivedMonth(
            month,
            rows=published.rows if published else 0,
            size=sum(part.size for part in published.parts) if published else 0,
            days=dropped,
            refusal=ArchiveRefusal.IN_USE if dropped < len(counted) else None,
        )

    def _write(self, month: str, days: dict[str, DayDigest], stored_until: int) -> ArchiveManifest:
        """Copy days to a folder of the archive, and return its manifest, which is not written yet."""
        content = archive.content_of(days.values())
        folder = f"{archive.month_prefix(month)}{content}/"
        _delete_unfinished(self._bucket, month)
        parts: list[ArchivePart] = []
        for path, part in archive.write_parts(self._rows(days), self._folder):
            self._bucket.upload(path, folder + part.name)
            parts.append(part)
            self._progress(f"{month}: {sum(each.rows for each in parts):,} rows written")
        return ArchiveManifest(
            month=month, content=content, rows=sum(day.rows for day in days.values()), stored_until=stored_until,
            days=tuple(days.values()), parts=tuple(parts),
        )  # fmt: skip

    def _rows(self, partitions: dict[str, DayDigest]) -> Iterator[Any]:
        for partition in partitions:
            statement = sql.SQL(
                f"COPY (SELECT {archive.copied_columns()} FROM public.{{}} ORDER BY event_time, prediction_id)"  # noqa: S608 - names of our own
                " TO STDOUT (FORMAT csv)"
            ).format(sql.Identifier(partition))
            with self._connection.cursor() as cursor, cursor.copy(statement) as copied:
                yield from archive.tables(copied)

    def _compare(self, manifest: ArchiveManifest) -> None:
        """Read the parts back from the store and compare their digests with the manifest. Raises IntegrityError."""
        import duckdb

        self._progress(f"{manifest.month}: reading {len(manifest.parts)} files back")
        sums: dict[str, DayDigest] = {}
        with duckdb.connect(config={"memory_limit": archive.MEMORY}) as engine:
            for part in manifest.parts:
                path = archive.fetch(self._bucket, manifest, part, self._folder)
                for day in filed_days(engine, path):
                    sums[day.day] = sums[day.day] + day if day.day in sums else day
                path.unlink()
        wrong = [day.day for day in manifest.days if day.day not in sums or not day.matches(sums[day.day])]
        if wrong or len(sums) != len(manifest.days):
            raise IntegrityError(
                f"the archived files of {manifest.month} differ from the rows in PostgreSQL: nothing is dropped; "
                "check the disks of the object store",
                wrong,
            )

    def _publish(self, manifest: ArchiveManifest) -> None:
        self._bucket.put(manifest.folder + archive.MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        archive.enter(self._connection, self._bucket, manifest)

    def _drop(self, partition: str, day: DayDigest) -> bool:
        """Drop an archived day and return True, unless it got new rows since or another session uses it."""
        name = sql.Identifier(partition)
        try:
            with self._connection.transaction():
                self._connection.execute("SET LOCAL lock_timeout = '2s'")
                self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('deposit.predictions'))")
                self._connection.execute(sql.SQL("LOCK TABLE public.{} IN ACCESS EXCLUSIVE MODE").format(name))
                # rows are never updated or deleted, so an equal count means equal rows
                ((rows,),) = self._connection.execute(sql.SQL("SELECT count(*) FROM public.{}").format(name))
                if rows != day.rows:
                    return False
                self._connection.execute(sql.SQL("DROP TABLE public.{}").format(name))
        except psycopg.errors.LockNotAvailable:
            return False
        return True


def _oldest_kept(archived: ArchiveSettings, log: LogSettings, now: datetime) -> datetime:
    """Return the start of the first month that stays. Raises ConfigError if the retention would drop earlier months."""
    keep, retention = archived.keep_months, log.retention_days
    if retention is not None and retention < (keep + 2) * _MONTH_DAYS:
        raise ConfigError(
            f"DEPOSIT_LOG__RETENTION_DAYS would drop predictions before they are archived: leave it empty, or set it "
            f"to {(keep + 2) * _MONTH_DAYS} or more"
        )
    return parse_period(month_name(month_number(now) - keep)).start


@contextmanager
def _session(database: DatabaseSettings) -> Iterator[Connection]:
    """Yield a connection as owner of the tables that holds the archive lock. Raises ConfigError or UpstreamError."""
    if database.url is None:
        raise ConfigError(f"DEPOSIT_DATABASE__URL is not set: {remedy(None)}, or set it")
    url = database.url.get_secret_value()
    parameters = connection_parameters(url, "DEPOSIT_DATABASE__URL", database)
    try:
        with closing(psycopg.connect(**parameters, autocommit=True, application_name="deposit archive")) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext('deposit.archive'))")
            connection.execute("SET timezone = 'UTC'")
            yield connection
    except psycopg.Error as error:
        raise UpstreamError(f"PostgreSQL does not answer the archive: {str(error).splitlines()[0]}") from error


def _refusal(connection: Connection, handover: Handover | None, month: Period) -> ArchiveRefusal | None:
    """Return why rows of a month may not be in PostgreSQL yet; None if all are."""
    ((until, aside),) = connection.execute(_SHIPPED_UNTIL, [_STATES_SECONDS])
    if until is not None and until < month.end:
        return ArchiveRefusal.WAITING
    if aside:
        return ArchiveRefusal.ASIDE
    return ArchiveRefusal.LEFT if handover is not None and handover.waiting() else None


def _delete_unfinished(bucket: Bucket, month: str) -> None:
    """Delete the folders of runs that were killed before they wrote their manifest."""
    keys = bucket.keys(archive.month_prefix(month))
    complete = {key.rpartition("/")[0] for key in keys if key.endswith(archive.MANIFEST)}
    for key in keys:
        if key.rpartition("/")[0] not in complete:
            bucket.delete(key)
