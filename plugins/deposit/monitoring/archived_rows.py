"""A period that was archived, counted by DuckDB from the archive's files.

The same counts as `profile` has PostgreSQL make. Outcomes stay in PostgreSQL, where they go on coming: it is given the
ids and gives back what is known of them. Rows that came for an archived month are taken from there too, each row once.
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
"""That go to PostgreSQL at once."""
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
    """The rows of a period by the URIs of its month's manifests. Raises IntegrityError, and as the store does."""
    with archive.scratch_folder(settings.archive, settings.state) as folder:
        paths = [_fetched(settings.store, uri, span, folder) for uri in manifests]
        # no SET: a folder's name may hold an apostrophe
        limits = {"memory_limit": archive.MEMORY, "temp_directory": str(folder)}
        with duckdb.connect(folder / "rows.duckdb", config={**limits}) as engine:
            engine.execute("SET preserve_insertion_order = false")
            engine.execute("SET TimeZone = 'UTC'")
            late = _copy_late(engine, connection, span)
            _gather(engine, span, paths, late)
            _copy_outcomes(engine, connection)
            yield ArchivedRows(engine)


class ArchivedRows:
    """What is counted of them; `archived_rows` gives it, with its tables `predictions` and `known`."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine

    def models_of(self, name: str) -> list[str]:
        """As `PeriodRows` says."""
        statement = "SELECT DISTINCT model_id FROM predictions WHERE starts_with(model_id, $prefix) ORDER BY 1"
        return [model_id for (model_id,) in self._rows(statement, prefix=f"{name}-v")]

    def profile(self, model_id: str, reference: ReferenceProfile) -> PeriodProfile:
        """As `PeriodRows` says."""
        single = ", ".join(f"coalesce(min({_name(each)}) = max({_name(each)}), true)" for each in COLUMNS)
        ((rows, called, mean, *constant),) = self._rows(
            "SELECT count(*), count(*) FILTER (WHERE subscribes), coalesce(avg(probability), 0),"  # noqa: S608
            f" {single} FROM predictions WHERE model_id = $model_id",
            model_id=model_id,
        )
        latencies = self._counts(f"floor(ln(greatest(latency_ms::DOUBLE, 0.001)) * {PER_E})::INTEGER", {}, model_id)
        bins = [self._counts(*_bin(column, reference.columns[column.name]), model_id) for column in COLUMNS]
        return profile.assembled(
            (rows, called, mean, constant),
            bins,
            latencies,
            self._by_score(model_id),
            self._by_cell(model_id),
            reference,
        )

    def sample(self, model_id: str, rows: int) -> Sample:
        """As `PeriodRows` says."""
        statement = (
            f"SELECT {', '.join(map(_name, FEATURES))}, probability, subscribes::INTEGER, subscribed::INTEGER"  # noqa: S608
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
    """As `profile` has PostgreSQL tell a value's bin."""
    name = _name(column)
    if isinstance(column, Category):
        return f"coalesce(list_position($labels, {name}) - 1, {OUTSIDE})", {"labels": list(histogram.labels)}
    limits = NUMBER_COLUMNS[column.name]
    places = " + ".join(["0", *(f"({name}::DOUBLE >= '{edge!r}'::DOUBLE)::INTEGER" for edge in histogram.edges)])
    bounds = {"low": limits.low, "high": limits.high}
    return f"CASE WHEN {name} BETWEEN $low AND $high THEN {places} ELSE {OUTSIDE} END", bounds


def _name(column: Category | Number) -> str:
    return f'"{column.sql_name}"'


def _fetched(store: StoreSettings, uri: str, span: Period, folder: Path) -> list[Path]:
    """The files of one folder of the archive that may hold rows of a period."""
    name, key = split_uri(uri)
    bucket = ObjectStore(store).bucket(name)
    manifest = archive.read_manifest(bucket, key)
    first, last = span.start.date(), span.end.date() - timedelta(days=1)
    parts = manifest.parts_of(first.isoformat(), last.isoformat())
    return [archive.fetch(bucket, manifest, part, folder) for part in parts]


def _cursor(connection: Connection) -> Any:
    """Of psycopg, which can copy."""
    psycopg_connection: Any = connection.connection
    return psycopg_connection.cursor()


def _copy_late(engine: duckdb.DuckDBPyConnection, connection: Connection, span: Period) -> bool:
    """Copy what PostgreSQL has of the period to the table `late`; whether there is anything."""
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


def _gather(engine: duckdb.DuckDBPyConnection, span: Period, folders: Sequence[Sequence[Path]], late: bool) -> None:
    """Make the view `predictions` of the archive's folders and of `late`; a row in two of them is there once."""
    window = f"event_time >= '{span.start.isoformat()}' AND event_time < '{span.end.isoformat()}'"
    largest_first = sorted(filter(None, folders), key=lambda paths: -sum(path.stat().st_size for path in paths))
    for number, paths in enumerate(largest_first):
        # no path is pasted into a statement: it may hold an apostrophe
        engine.read_parquet([str(path) for path in paths]).create_view(f"folder_{number}")
    sources = [f"SELECT * FROM folder_{number} WHERE {window}" for number in range(len(largest_first))]  # noqa: S608
    if late or not sources:
        sources.append("SELECT * FROM late")
    engine.execute(f"CREATE VIEW gathered_0 AS {sources[0]}")
    for number, source in enumerate(sources[1:], 1):
        # by a join, which goes to the disk where memory does not suffice; grouping whole rows could not
        engine.execute(
            f"CREATE TABLE more_{number} AS SELECT more.* FROM ({source}) AS more"  # noqa: S608
            f" ANTI JOIN gathered_{number - 1} USING (prediction_id, event_time)"
        )
        engine.execute(f"CREATE VIEW gathered_{number} AS FROM gathered_{number - 1} UNION ALL FROM more_{number}")
    engine.execute(f"CREATE VIEW predictions AS FROM gathered_{len(sources) - 1}")


def _copy_outcomes(engine: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Make `known`, the outcome that counts of each prediction, and `scored`, the predictions that have one."""
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
