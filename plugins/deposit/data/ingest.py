"""Ingest: check a source's rows against the contract and publish a dataset version. Idempotent and crash-safe."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import pandas as pd
from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from deposit.data import contract, dataset, dating, sources, table
from deposit.data.columns import FEATURES
from deposit.data.readings import Reading, Readings, spelled, spellings
from deposit.data.tables.cells import bare
from deposit.data.tables.dialect import Dialect
from deposit.data.tables.formats import cut
from deposit.data.tables.plaintext import stated_codec
from deposit.data.violations import RowRule, RowViolation, reasons, summary
from deposit.database import connect, reachable
from deposit.errors import ContractError, located
from deposit.progress import Progress, log_progress
from deposit.sections import IngestSettings
from deposit.settings import Settings
from deposit.store import Bucket, ObjectStore
from deposit.tables import datasets, rejects

_BATCH = 5_000
_REASONS_SHOWN, _REASON_LETTERS = 3, 300


@dataclass(frozen=True)
class Rejection:
    """A quarantined row: its line, and each invalid column with its allowed values."""

    line: int
    reason: str


@dataclass(frozen=True)
class IngestResult:
    """The published version; `created` is False if the same content had been published before.

    `rejections` holds the first few of the `rejected` rows. `first_line` and `last_line` cover all rows that were read.
    `readings` lists the alternative spellings in the valid rows, with the values they were read as. `dialect` is the
    file's charset, separator and header line.
    """

    version: str
    created: bool
    rows: int
    rejected: int
    first_period: str
    last_period: str
    source: str
    source_sha256: str
    uri: str
    quarantine_uri: str | None
    first_line: int
    last_line: int
    rejections: tuple[Rejection, ...]
    readings: tuple[Reading, ...]
    dialect: Dialect | None


def ingest(settings: Settings, progress: Progress = log_progress) -> IngestResult:
    """Publish the configured source as a dataset version.

    Invalid rows go to a quarantine object and the `rejects` table. Raises DataError (the source, its columns, or too
    many invalid rows), ConfigError or UpstreamError; in each of these cases nothing is published.
    """
    store, engine = ObjectStore(settings.store), connect(settings.database)
    bucket = store.data
    try:
        _check_servers(bucket, engine)
        with sources.folder() as folder:
            source = sources.fetch(settings.ingest, folder, progress, store)
            checked = check(source, progress, stated_codec(settings.ingest.charset))
        bad = reasons(checked.violations)
        quarantine_uri = _quarantine(bucket, engine, source, checked, bad) if bad else None
        first = tuple(Rejection(line, cut(text, _REASON_LETTERS)) for line, text in islice(bad.items(), _REASONS_SHOWN))
        _refuse_bad_share(checked, source, settings.ingest.max_bad_share, bad, quarantine_uri)
        rows = _add_periods(checked.good, source.name, settings.ingest, progress)
        progress(f"publishing {len(rows)} rows")
        manifest, created = dataset.publish(bucket, rows, dataset.Origin(source.name, source.sha256, len(bad)))
        add_dataset(engine, bucket, manifest)
    finally:
        engine.dispose()
    lines = [*checked.good.index, *bad]
    return IngestResult(
        version=manifest.version,
        created=created,
        rows=manifest.rows,
        rejected=len(bad),
        first_period=manifest.first_period,
        last_period=manifest.last_period,
        source=source.name,
        source_sha256=source.sha256,
        uri=dataset.uri(bucket, manifest.version),
        quarantine_uri=quarantine_uri,
        first_line=min(lines),
        last_line=max(lines),
        rejections=first,
        readings=tuple(checked.readings), dialect=checked.dialect,
    )  # fmt: skip


def check(source: sources.Source, progress: Progress, codec: str | None = None) -> contract.ValidationResult:
    """Split all rows of a source by the contract, in source order; `codec` is the encoding if the file is text."""
    good: list[pd.DataFrame] = []
    rejected: list[pd.DataFrame] = []
    violations: list[RowViolation] = []
    readings = Readings()
    dialect, done = None, 0
    for chunk in table.read(source.path, source.name, codec=codec):
        if dialect is None:
            progress(str(chunk.dialect))
        dialect = chunk.dialect
        checked = contract.validate_rows(chunk.rows, chunk.decimal_comma)
        good.append(checked.good)
        rejected += [checked.rejected, chunk.malformed]
        violations += [*checked.violations, *chunk.violations]
        for column in FEATURES:
            texts = chunk.rows.loc[checked.good.index, column.name].value_counts().items()
            values = [(text, spelled(column, text), cells) for text, cells in texts]
            readings.add(Reading(column.name, bare(text), value, cells) for text, value, cells in values if value)
        done += len(chunk.rows) + len(chunk.malformed)
        progress(f"{done} rows checked")
    if listed := readings.listed():
        progress(spellings(listed))
    unique = contract.deduplicate(pd.concat(good))
    bad = pd.concat([*rejected, unique.rejected]).sort_index(kind="stable")
    return contract.ValidationResult(unique.good, bad, [*violations, *unique.violations], listed, dialect)


def _check_servers(bucket: Bucket, engine: Engine) -> None:
    """Raise UpstreamError or ConfigError unless the database responds and has its tables, and the bucket exists."""
    with reachable(engine), engine.connect() as connection:
        connection.execute(select(datasets.c.version).limit(1))
    bucket.keys(dataset.PREFIX)


def _quarantine(
    bucket: Bucket, engine: Engine, source: sources.Source, checked: contract.ValidationResult, bad: Mapping[int, str]
) -> str:
    """Store the rejected rows in an object and their violations in the table, which keeps rows that it already has."""
    by_line: dict[int, list[RowViolation]] = {}
    for violation in checked.violations:
        by_line.setdefault(violation.line, []).append(violation)
    frame = checked.rejected.assign(
        rule=pd.Series({line: "; ".join(each.rule for each in same) for line, same in by_line.items()}),
        column=pd.Series({line: "; ".join(each.column for each in same) for line, same in by_line.items()}),
    )
    frame.insert(0, "reason", pd.Series(bad))
    uri = bucket.put(f"quarantine/{source.sha256}.csv", frame.to_csv(index_label="line").encode())
    common = {"source_sha256": source.sha256, "source": source.name, "uri": uri}
    rows = [
        {"line": each.line, "rule": each.rule, "column": each.column, "reason": str(each), **common}
        for each in checked.violations
    ]
    with reachable(engine), engine.begin() as connection:
        # rows from a version that recorded no rule; the new rows replace them
        connection.execute(
            delete(rejects).where(rejects.c.source_sha256 == source.sha256, rejects.c.rule == RowRule.UNKNOWN)
        )
        for start in range(0, len(rows), _BATCH):
            connection.execute(insert(rejects).on_conflict_do_nothing(), rows[start : start + _BATCH])
    return uri


def _refuse_bad_share(
    checked: contract.ValidationResult,
    source: sources.Source,
    most: float,
    bad: Mapping[int, str],
    quarantine_uri: str | None,
) -> None:
    rows = len(checked.rejected) + len(checked.good)
    if len(checked.rejected) / rows <= most:
        return
    raise ContractError(
        f"{source.name}: {len(bad)} of {rows} rows break the contract ({len(bad) / rows:.2%}), nothing was published: "
        f"correct them, or raise DEPOSIT_INGEST__MAX_BAD_SHARE ({most:.2%})",
        [f"line {line}: {reason}" for line, reason in bad.items()],
        quarantine_uri,
    )


def _add_periods(rows: pd.DataFrame, where: str, settings: IngestSettings, progress: Progress) -> pd.DataFrame:
    """Add `period` to the rows, and report the violations that were accepted."""
    with located(where):
        dated = dating.date_rows(rows, settings, datetime.now(UTC).date())
    if dated.accepted:
        progress(f"accepted by DEPOSIT_INGEST__ACCEPT or --accept: {summary(dated.accepted)}")
    return dated.rows


def add_dataset(engine: Engine, bucket: Bucket, manifest: dataset.Manifest) -> None:
    """Record a published version; an existing record is kept."""
    row = manifest.model_dump(exclude={"files", "created"})
    row |= {"uri": dataset.uri(bucket, manifest.version), "created_at": datetime.fromisoformat(manifest.created)}
    with reachable(engine), engine.begin() as connection:
        connection.execute(insert(datasets).values(row).on_conflict_do_nothing())
