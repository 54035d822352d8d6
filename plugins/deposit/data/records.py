"""What the database knows of an ingest: the `datasets` row and the `rejects` rows. Safe to repeat."""

from datetime import datetime

import pandas as pd
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from deposit.data import dataset
from deposit.data.sources import Source
from deposit.database import datasets, reachable, rejects

_BATCH = 5_000


def check(engine: Engine) -> None:
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
