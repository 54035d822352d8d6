"""Profile of an archived period, computed by DuckDB from the archive's files.

The counts are those that `profile` computes in PostgreSQL. Outcomes stay in PostgreSQL, since they keep arriving: it
receives the prediction ids and returns their known outcomes. Rows that arrived late for an archived month are read from
PostgreSQL too, and deduplicated.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import Connection

from deposit.data.columns import CATEGORIES, FEATURES, Category, Number
from deposit.data.period import Period
from deposit.log import archive
from deposit.model.mixture import AGE_EDGES, FACTORS
from deposit.model.reference import Histogram, ReferenceProfile
from deposit.monitoring import profile
from deposit.monitoring.histograms import COLUMNS, NUMBER_COLUMNS, OUTSIDE, PER_E
from deposit.monitoring.period_rows import Sample
from deposit.monitoring.profile import GROUPS, PeriodProfile
from deposit.sections import StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore, split_uri

_IDS = 100_000
"""Prediction ids sent to PostgreSQL per batch."""
_KNOWN = """
COPY (
    SELECT DISTINCT ON (prediction_id) prediction_id, subscribed
    FROM pg_temp.archived_ids JOIN public.outcomes USING (prediction_id)
    ORDER BY prediction_id, public.outcome_moment(at, received_at) DESC, id DESC
) TO STDOUT (FORMAT csv)
"""
_KNOWN_TYPES = {"prediction_id": pa.string(), "subscribed": pa.bool_()}
_CELL = (
    "((list_position($poutcomes, poutcome) - 1) * len($contacts) + list_position($contacts, contact) - 1)"
    " * (len($edges) + 1) + list_sum([(age >= edge)::INTEGER for edge in $edges])"
)


@contextmanager
def archived_rows(
    settings: Settings, connection: Connection, span: Period, manifests: Sequence[str]
) -> Iterator["ArchivedRows"]:
    """The rows of a period, given the URIs of its month's manifests. Raises IntegrityError, and as the store does."""
    with archive.scratch_folder(settings.archive, settings.state) as folder:
        paths = [_fetch_files(settings.store, uri, span, folder) for uri in manifests]
        # not by SET: the folder's name may contain an apostrophe
        limits = {"memory_limit": archive.MEMORY, "temp_directory": str(folder)}
        with duckdb.connect(folder / "rows.duckdb", config={**limits}) as engine:
            engine.execute("SET preserve_insertion_order = false")
            engine.execute("SET TimeZone = 'UTC'")
            late = _copy_late(engine, connection, span)
            _create_predictions_view(engine, span, paths, late)
            _copy_outcomes(engine, connection)
            yield ArchivedRows(engine)


class ArchivedRows:
    """Queries on the DuckDB tables `predictions`, `known` and `scored`, which `archived_rows` creates."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine

    def models_of(self, name: str) -> list[str]:
        """See `PeriodRows`."""
        statement = "SELECT DISTINCT model_id FROM predictions WHERE starts_with(model_id, $prefix) ORDER BY 1"
        return [model_id for (model_id,) in self._rows(statement, prefix=f"{name}-v")]

    def profile(self, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
        """See `PeriodRows`."""
        single = ", ".join(f"coalesce(min({_quoted(each)}) = max({_quoted(each)}), true)" for each in COLUMNS)
        ((rows, called, mean, *constant),) = self._rows(
            "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0),"  # noqa: S608
            f" {single} FROM predictions WHERE model_id = $model_id",
            model_id=model_id,
        )
        latencies = self._counts(f"floor(ln(greatest(latency_ms::DOUBLE, 0.001)) * {PER_E})::INTEGER", {}, model_id)
        bins = [self._counts(*_bin(column, reference.columns[column.name]), model_id) for column in COLUMNS]
        return profile.build_profile(
            (rows, called, mean, constant),
            bins,
            latencies,
            self._by_score(model_id),
            self._by_cell(model_id),
            reference,
        )

    def sample(self, model_id: str, rows: int) -> Sample:
        """See `PeriodRows`."""
        statement = (
            f"SELECT {', '.join(map(_quoted, FEATURES))}, probability, subscribes::INTEGER, subscribed::INTEGER"  # noqa: S608
            " FROM (SELECT * FROM predictions WHERE model_id = $model_id ORDER BY md5(prediction_id::TEXT) LIMIT $rows)"
            " LEFT JOIN known USING (prediction_id) ORDER BY prediction_id"
        )
        return self._rows(statement, model_id=model_id, rows=rows)

    def _counts(self, expression: str, values: dict[str, Any], model_id: str) -> dict[int, int]:
        statement = f"SELECT {expression}, count(*) FROM predictions WHERE model_id = $model_id GROUP BY 1"  # noqa: S608
        return dict(self._rows(statement, model_id=model_id, **values))

    def _by_score(self, model_id: str) -> list[tuple[Any, ...]]:
        return self._rows(
            "SELECT subscribed::INTEGER, avg(probability), count(*) FROM scored WHERE model_id = $model_id"
            " GROUP BY subscribes, subscribed, floor(probability * $groups)::INTEGER",
            model_id=model_id, groups=GROUPS,
        )  # fmt: skip

    def _by_cell(self, model_id: str) -> list[tuple[Any, ...]]:
        poutcomes, contacts = (list(CATEGORIES[name].allowed) for name in FACTORS[:2])
        return self._rows(
            f"SELECT subscribed::INTEGER, count(*), {_CELL} AS cell FROM scored"  # noqa: S608
            " WHERE model_id = $model_id GROUP BY subscribed, cell",
            model_id=model_id, poutcomes=poutcomes, contacts=contacts, edges=list(AGE_EDGES),
        )  # fmt: skip

    def _rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._engine.execute(statement, values).fetchall()


def _bin(column: Category | Number, histogram: Histogram) -> tuple[str, dict[str, Any]]:
    """SQL expression of a value's bin, with its parameters; the bins are those of `histograms`."""
    name = _quoted(column)
    if isinstance(column, Category):
        return f"coalesce(list_position($labels, {name}) - 1, {OUTSIDE})", {"labels": list(histogram.labels)}
    limits = NUMBER_COLUMNS[column.name]
    places = " + ".join(["0", *(f"({name}::DOUBLE >= '{edge!r}'::DOUBLE)::INTEGER" for edge in histogram.edges)])
    bounds = {"low": limits.low, "high": limits.high}
    return f"CASE WHEN {name} BETWEEN $low AND $high THEN {places} ELSE {OUTSIDE} END", bounds


def _quoted(column: Category | Number) -> str:
    return f'"{column.sql_name}"'


def _fetch_files(store: StoreSettings, uri: str, span: Period, folder: Path) -> list[Path]:
    """Download the files of one archive folder that may have rows of the period."""
    name, key = split_uri(uri)
    bucket = ObjectStore(store).bucket(name)
    manifest = archive.read_manifest(bucket, key)
    first, last = span.start.date(), span.end.date() - timedelta(days=1)
    parts = manifest.parts_of(first.isoformat(), last.isoformat())
    return [archive.fetch(bucket, manifest, part, folder) for part in parts]


def _cursor(connection: Connection) -> Any:
    """The psycopg cursor behind a connection, which supports COPY."""
    psycopg_connection: Any = connection.connection
    return psycopg_connection.cursor()


def _copy_late(engine: duckdb.DuckDBPyConnection, connection: Connection, span: Period) -> bool:
    """Copy the period's rows in PostgreSQL to the table `late`; returns whether there are any."""
    engine.register("nothing", archive.SCHEMA.empty_table())
    engine.execute("CREATE TABLE late AS FROM nothing")
    statement = (
        f"COPY (SELECT {archive.copied_columns()} FROM public.predictions"  # noqa: S608
        f" WHERE event_time >= '{span.start.isoformat()}' AND event_time < '{span.end.isoformat()}')"
        " TO STDOUT (FORMAT csv)"
    )
    rows = 0
    with closing(_cursor(connection)) as cursor, cursor.copy(statement.encode()) as copied:
        for table in archive.tables(copied):
            engine.register("copied", table)
            engine.execute("INSERT INTO late FROM copied")
            rows += len(table)
    return rows > 0


def _create_predictions_view(
    engine: duckdb.DuckDBPyConnection, span: Period, folders: Sequence[Sequence[Path]], late: bool
) -> None:
    """Create the view `predictions` over the archive folders and `late`, with every row once."""
    window = f"event_time >= '{span.start.isoformat()}' AND event_time < '{span.end.isoformat()}'"
    largest_first = sorted(filter(None, folders), key=lambda paths: -sum(path.stat().st_size for path in paths))
    for number, paths in enumerate(largest_first):
        # paths are not interpolated into SQL: they may contain an apostrophe
        engine.read_parquet([str(path) for path in paths]).create_view(f"folder_{number}")
    sources = [f"SELECT * FROM folder_{number} WHERE {window}" for number in range(len(largest_first))]  # noqa: S608
    if late or not sources:
        sources.append("SELECT * FROM late")
    engine.execute(f"CREATE VIEW gathered_0 AS {sources[0]}")
    for number, source in enumerate(sources[1:], 1):
        # an anti-join can spill to disk when memory runs out; grouping by whole rows cannot
        engine.execute(
            f"CREATE TABLE more_{number} AS SELECT more.* FROM ({source}) AS more"  # noqa: S608
            f" ANTI JOIN gathered_{number - 1} USING (prediction_id, event_time)"
        )
        engine.execute(f"CREATE VIEW gathered_{number} AS FROM gathered_{number - 1} UNION ALL FROM more_{number}")
    engine.execute(f"CREATE VIEW predictions AS FROM gathered_{len(sources) - 1}")


def _copy_outcomes(engine: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Create the table `known` with the current outcome of each prediction, and the view `scored` that joins both."""
    engine.execute("CREATE TABLE known (prediction_id UUID, subscribed BOOLEAN)")
    with closing(_cursor(connection)) as cursor:
        cursor.execute("CREATE TEMPORARY TABLE archived_ids (prediction_id uuid) ON COMMIT DROP")
        ids: Any = engine.sql("SELECT prediction_id::TEXT FROM predictions").to_arrow_reader(_IDS)
        with cursor.copy("COPY pg_temp.archived_ids FROM STDIN") as copy:
            for batch in ids:
                copy.write("\n".join([*batch.column(0).to_pylist(), ""]).encode())
        cursor.execute("ANALYZE pg_temp.archived_ids")
        with cursor.copy(_KNOWN) as copied:
            for outcomes in archive.batches(copied, _KNOWN_TYPES):
                engine.register("copied", outcomes)
                engine.execute("INSERT INTO known SELECT prediction_id::UUID, subscribed FROM copied")
    engine.execute(
        "CREATE VIEW scored AS SELECT DISTINCT ON (model_id, prediction_id)"
        " model_id, probability, subscribes, poutcome, contact, age, subscribed"
        " FROM predictions JOIN known USING (prediction_id)"
    )
