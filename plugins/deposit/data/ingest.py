"""Ingest: a source's rows through the contract into a dataset version. Safe to repeat, and to kill at any point."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from deposit.data import contract, dataset, dating, sources, table
from deposit.data.sources import Source
from deposit.data.tables.formats import cut
from deposit.data.violations import summary
from deposit.database import connect, datasets, reachable, rejects
from deposit.errors import ConfigError, ContractError, SourceError
from deposit.progress import Progress, log_progress
from deposit.sections import IngestSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

_REASONS_SHOWN, _REASON_LETTERS = 3, 300


@dataclass(frozen=True)
class Rejection:
    """A row that was set aside: its line, and each wrong column with what is allowed."""

    line: int
    reason: str


@dataclass(frozen=True)
class IngestResult:
    """What an ingest published; `created` is False if the same content had been published before.

    `rejections` are the first few of those `rejected`; `first_line` and `last_line` are of all rows that were read.
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


def ingest(settings: Settings, progress: Progress = log_progress) -> IngestResult:
    """Publish the configured source as a dataset version.

    Bad rows go to a quarantine object and the `rejects` table. Raises DataError (the source, its columns, or too many
    bad rows), ConfigError or UpstreamError; then no version was published.
    """
    store, engine = ObjectStore(settings.store), connect(settings.database)
    try:
        _check_servers(store, engine, settings.store.data_bucket)
        with sources.folder() as folder:
            source = sources.fetch(settings.ingest, folder, progress)
            checked = check(source, progress)
        return _publish(store, engine, settings, source, checked, progress)
    finally:
        engine.dispose()


def check(source: sources.Source, progress: Progress) -> contract.ValidationResult:
    """All of a source's rows, split by the contract, in the source's order."""
    good: list[pd.DataFrame] = []
    rejected: list[pd.DataFrame] = []
    done = 0
    for chunk in table.read(source.path, source.name):
        checked = contract.validate_rows(chunk.rows, chunk.decimal_comma)
        good.append(checked.good)
        rejected += [checked.rejected, chunk.malformed]
        done += len(chunk.rows) + len(chunk.malformed)
        progress(f"{done} rows checked")
    rows, repeated = contract.deduplicate(pd.concat(good))
    bad = pd.concat([*rejected, repeated]).sort_index(kind="stable")
    return contract.ValidationResult(rows, bad)


def _check_servers(store: ObjectStore, engine: Engine, bucket: str) -> None:
    check_tables(engine)
    try:
        store.keys(bucket, dataset.PREFIX)
    except SourceError as error:
        raise ConfigError(
            f"the bucket {bucket} does not exist: start the stack (`deposit up`), make the bucket, "
            "or correct DEPOSIT_STORE__DATA_BUCKET"
        ) from error


def _dated(rows: pd.DataFrame, where: str, settings: IngestSettings, progress: Progress) -> pd.DataFrame:
    """Rows with `period`; what was accepted of their months by name is told."""
    try:
        dated = dating.date_rows(rows, settings, datetime.now(UTC).date())
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from error
    if dated.accepted:
        progress(f"accepted, as DEPOSIT_INGEST__ACCEPT or --accept says: {summary(dated.accepted)}")
    return dated.rows


def _publish(
    store: ObjectStore,
    engine: Engine,
    settings: Settings,
    source: sources.Source,
    checked: contract.ValidationResult,
    progress: Progress,
) -> IngestResult:
    bucket = settings.store.data_bucket
    quarantine_uri = _quarantine(store, engine, bucket, source, checked.rejected)
    _refuse_bad_share(checked, source, settings.ingest.max_bad_share, quarantine_uri)
    rows = _dated(checked.good, source.name, settings.ingest, progress)
    progress(f"publishing {len(rows)} rows")
    origin = dataset.Origin(source.name, source.sha256, len(checked.rejected))
    manifest, created = dataset.publish(store, bucket, rows, origin)
    add_dataset(engine, bucket, manifest)
    return IngestResult(
        version=manifest.version,
        created=created,
        rows=manifest.rows,
        rejected=len(checked.rejected),
        first_period=manifest.first_period,
        last_period=manifest.last_period,
        source=source.name,
        source_sha256=source.sha256,
        uri=dataset.uri(bucket, manifest.version),
        quarantine_uri=quarantine_uri,
        first_line=min(int(part.index.min()) for part in (checked.good, checked.rejected) if len(part)),
        last_line=max(int(part.index.max()) for part in (checked.good, checked.rejected) if len(part)),
        rejections=_first(checked.rejected),
    )


def _first(rejected: pd.DataFrame) -> tuple[Rejection, ...]:
    reasons = rejected["reason"].head(_REASONS_SHOWN)
    lines_and_texts = zip(reasons.index.tolist(), reasons.tolist(), strict=True)
    return tuple(Rejection(line, cut(text, _REASON_LETTERS)) for line, text in lines_and_texts)


def _quarantine(
    store: ObjectStore, engine: Engine, bucket: str, source: sources.Source, rejected: pd.DataFrame
) -> str | None:
    if rejected.empty:
        return None
    columns = ["reason", *(name for name in rejected if name != "reason")]
    text = rejected[columns].to_csv(index_label="line")
    uri = store.put(bucket, f"quarantine/{source.sha256}.csv", text.encode())
    add_rejects(engine, source, rejected["reason"], uri)
    return uri


def _refuse_bad_share(checked: contract.ValidationResult, source: sources.Source, most: float, uri: str | None) -> None:
    bad, rows = len(checked.rejected), len(checked.rejected) + len(checked.good)
    if bad / rows <= most:
        return
    shown = "; ".join(f"line {row.line}: {row.reason}" for row in _first(checked.rejected))
    raise ContractError(
        f"{source.name}: {bad} of {rows} rows break the contract ({bad / rows:.2%}; "
        f"DEPOSIT_INGEST__MAX_BAD_SHARE allows {most:.2%}), nothing was published; {shown}; all of them: {uri}"
    )


_BATCH = 5_000


def check_tables(engine: Engine) -> None:
    """Raise UpstreamError unless the database answers and has its tables."""
    with reachable(engine), engine.connect() as connection:
        connection.execute(select(datasets.c.version).limit(1))


def add_dataset(engine: Engine, bucket: str, manifest: dataset.Manifest) -> None:
    """Record a published version; one that is recorded stays as it is."""
    row = manifest.model_dump(exclude={"files", "created"})
    row |= {"uri": dataset.uri(bucket, manifest.version), "created_at": datetime.fromisoformat(manifest.created)}
    with reachable(engine), engine.begin() as connection:
        connection.execute(insert(datasets).values(row).on_conflict_do_nothing())


def add_rejects(engine: Engine, source: Source, reasons: pd.Series, uri: str) -> None:
    """Record rejected rows, given as reasons by line; what is recorded stays as it is."""
    common = {"source_sha256": source.sha256, "source": source.name, "uri": uri}
    rows = [
        {"line": line, "reason": reason, **common}
        for line, reason in zip(reasons.index.tolist(), reasons.tolist(), strict=True)
    ]
    with reachable(engine), engine.begin() as connection:
        for start in range(0, len(rows), _BATCH):
            connection.execute(insert(rejects).on_conflict_do_nothing(), rows[start : start + _BATCH])
