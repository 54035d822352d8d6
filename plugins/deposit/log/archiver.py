"""The archiver: whole months of `predictions` go from PostgreSQL to the archive.

A month is counted and copied in one snapshot, its files are read back from the store and counted again by another
engine, and only then is there a manifest. A day is dropped if the archive holds exactly its rows, which is looked at
again under the lock that keeps others from adding. Killed anywhere and run again, it goes on from what is there.
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
"""Within which each shipper reports what its spools hold."""
_DAYS = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'public.predictions'::regclass AND relname ~ '^predictions_[0-9]{8}$' ORDER BY relname
"""
_SHIPPED_UNTIL = """
SELECT min(at - make_interval(secs => oldest_seconds)), coalesce(sum(aside_rows), 0) FROM spool_states
WHERE at >= (SELECT max(at) FROM spool_states) - make_interval(secs => %s)
"""


class ArchiveRefusal(StrEnum):
    """Why a month, or a day, stays in PostgreSQL."""

    WAITING = "predictions of that time may still be in a spool"
    ASIDE = "entries are set aside in a spool: start the shipper of a version that can store them"
    LEFT = "a shipper left entries in the object store that are not in PostgreSQL yet"
    RECENT = "rows of it were stored within the months that PostgreSQL keeps"
    IN_USE = "days of it are in use, or rows came meanwhile: run it again"


@dataclass(frozen=True)
class ArchivedMonth:
    """What became of a month.

    Args:
        rows: newly archived; 0 if the archive held them already.
        size: bytes of their files.
        days: that were dropped from PostgreSQL.
        refusal: why something of it is still there; None if nothing is.
    """

    month: str
    rows: int = 0
    size: int = 0
    days: int = 0
    refusal: ArchiveRefusal | None = None


def archive_months(
    settings: Settings, month: str | None = None, progress: Progress = log_progress
) -> list[ArchivedMonth]:
    """Archive the months that are older than what PostgreSQL keeps, or one of them; the second of two runs waits.

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
    """One run over a connection that holds the archive's lock."""

    def __init__(self, connection: Connection, bucket: Bucket, folder: Path, progress: Progress) -> None:
        self._connection = connection
        self._bucket = bucket
        self._folder = folder
        self._progress = progress

    def run(
        self, month: str, partitions: Sequence[str], archived: Sequence[DayDigest], oldest: datetime
    ) -> ArchivedMonth:
        """Archive a month's partitions but for days that are archived; rows stored from `oldest` on keep it here."""
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
        """Copy some days into a folder that has no manifest yet; its manifest-to-be."""
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
        """Read the parts back from the store and count them again. Raises IntegrityError."""
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
                f"what was archived of {manifest.month} is not what PostgreSQL holds: nothing is dropped; "
                "see the object store's disks",
                wrong,
            )

    def _publish(self, manifest: ArchiveManifest) -> None:
        self._bucket.put(manifest.folder + archive.MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        archive.enter(self._connection, self._bucket, manifest)

    def _drop(self, partition: str, day: DayDigest) -> bool:
        """Drop a day that is archived, unless rows came since or somebody reads it."""
        name = sql.Identifier(partition)
        try:
            with self._connection.transaction():
                self._connection.execute("SET LOCAL lock_timeout = '2s'")
                self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('deposit.predictions'))")
                self._connection.execute(sql.SQL("LOCK TABLE public.{} IN ACCESS EXCLUSIVE MODE").format(name))
                # rows are only ever added
                ((rows,),) = self._connection.execute(sql.SQL("SELECT count(*) FROM public.{}").format(name))
                if rows != day.rows:
                    return False
                self._connection.execute(sql.SQL("DROP TABLE public.{}").format(name))
        except psycopg.errors.LockNotAvailable:
            return False
        return True


def _oldest_kept(archived: ArchiveSettings, log: LogSettings, now: datetime) -> datetime:
    """The start of the first month that stays. Raises ConfigError if a retention would drop what is to be archived."""
    keep, retention = archived.keep_months, log.retention_days
    if retention is not None and retention < (keep + 2) * _MONTH_DAYS:
        raise ConfigError(
            f"DEPOSIT_LOG__RETENTION_DAYS drops predictions before they are archived: leave it empty, or set "
            f"{(keep + 2) * _MONTH_DAYS} or more"
        )
    return parse_period(month_name(month_number(now) - keep)).start


@contextmanager
def _session(database: DatabaseSettings) -> Iterator[Connection]:
    """A connection as the tables' owner, alone with the archive's lock. Raises ConfigError or UpstreamError."""
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
    """Why rows of a month may still be on their way."""
    ((until, aside),) = connection.execute(_SHIPPED_UNTIL, [_STATES_SECONDS])
    if until is not None and until < month.end:
        return ArchiveRefusal.WAITING
    if aside:
        return ArchiveRefusal.ASIDE
    return ArchiveRefusal.LEFT if handover is not None and handover.waiting() else None


def _delete_unfinished(bucket: Bucket, month: str) -> None:
    """Delete what runs left that were killed before their manifest."""
    keys = bucket.keys(archive.month_prefix(month))
    whole = {key.rpartition("/")[0] for key in keys if key.endswith(archive.MANIFEST)}
    for key in keys:
        if key.rpartition("/")[0] not in whole:
            bucket.delete(key)
