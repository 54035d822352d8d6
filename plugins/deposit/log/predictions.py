"""The table `predictions`: its rows from the spool, its partitions by day, an end for what is old."""

import io
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg import Connection, Cursor, errors

from deposit.data.columns import FEATURES, NAMES, customer_struct
from deposit.log.entries import ID_BYTES, RankedBlock, ScoredRequest, from_epoch_us
from deposit.log.staging import Staging

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_SQL_TYPES = {str: "TEXT", int: "SMALLINT", float: "DOUBLE PRECISION"}
STAGING = Staging(
    "predictions",
    {
        "prediction_id": "UUID",
        "customer_id": "TEXT",
        **{column.sql_name: _SQL_TYPES[column.kind] for column in FEATURES},
        "probability": "DOUBLE PRECISION",
        "subscribes": "BOOLEAN",
        "event_time": "TIMESTAMP WITH TIME ZONE",
        "request_id": "TEXT",
        "model_id": "TEXT",
        "threshold": "DOUBLE PRECISION",
        "latency_ms": "REAL",
        "client": "TEXT",
    },
)
_INSERT = STAGING.sql(
    "INSERT INTO public.predictions ({columns}) SELECT {columns} FROM {staging} ON CONFLICT DO NOTHING"
)
_DAYS_AHEAD = 7
_NUL, _INSTEAD = "\0", "�"
"""PostgreSQL's text holds every character but this one."""

# what was answered is kept, whatever the limits are by now
_Customer = customer_struct(lambda column: column.kind, Any)


class _Body(msgspec.Struct):
    customers: list[_Customer]  # type: ignore[valid-type]


# 41.0 was checked to be a whole number, which PostgreSQL wants to see written as one
_read_body = msgspec.json.Decoder(_Body, strict=False).decode
Row = tuple[Any, ...]


def scored_rows(request: ScoredRequest) -> list[Row]:
    """A request's rows in the order of the staging table's columns. Raises ValueError if its parts do not fit."""
    customers: list[Any] = _read_body(request.body).customers
    head = _head(request)
    digits = request.prediction_ids.hex()
    ids = [digits[start : start + 2 * ID_BYTES] for start in range(0, len(digits), 2 * ID_BYTES)]
    threshold = request.threshold
    return [
        (prediction_id, _identity(id_), *features, probability, probability >= threshold, *head)
        for (*features, id_), prediction_id, probability in zip(
            map(msgspec.structs.astuple, customers), ids, request.probabilities, strict=True
        )
    ]


def ranked_csv(block: RankedBlock) -> bytes:
    """A block's rows as CSV without a header, as above. Raises ValueError for a table that is not as promised."""
    # 60 MB of memory that a shipper which never sees a list does without
    import pyarrow as pa
    from pyarrow import compute, csv

    types = {str: pa.string(), int: pa.int16(), float: pa.float64()}
    try:
        table = pa.ipc.open_stream(block.table).read_all().combine_chunks()
        missing = {*NAMES, "id", "prediction_id", "probability"} - set(table.column_names)
        if missing:
            raise ValueError(f"the table has no column {', '.join(sorted(missing))}")
        probability = table["probability"].cast(pa.float64())
        columns = [
            _uuids(table["prediction_id"]),
            compute.replace_substring(table["id"].cast(pa.string()), _NUL, _INSTEAD),
            *(table[column.name].cast(types[column.kind]) for column in FEATURES),
            probability,
            compute.greater_equal(probability, block.threshold),
            *(pa.repeat(value, table.num_rows) for value in _head(block)),
        ]
        written = io.BytesIO()
        # strings are quoted and null is empty, as COPY wants them
        csv.write_csv(pa.table(columns, list(STAGING.types)), written, csv.WriteOptions(include_header=False))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the table cannot be read: {error}") from error
    return written.getvalue()


def store(cursor: Cursor[Any], rows: Sequence[Row], lists: Sequence[bytes]) -> None:
    """Add the rows that are not there yet; their days must be. Raises psycopg.Error."""
    if rows:
        with cursor.copy(STAGING.sql("COPY {staging} ({columns}) FROM STDIN")) as copy:
            for row in rows:
                copy.write_row(row)
    if lists:
        with cursor.copy(STAGING.sql("COPY {staging} ({columns}) FROM STDIN (FORMAT csv)")) as copy:
            for content in lists:
                copy.write(content)
    cursor.execute(_INSERT)


def _head(content: ScoredRequest | RankedBlock) -> Row:
    return (
        from_epoch_us(content.event_time).isoformat(),
        content.request_id,
        content.model_id,
        content.threshold,
        content.latency_ms,
        content.client,
    )


def _identity(value: int | str | None) -> str | None:
    return None if value is None else str(value).replace(_NUL, _INSTEAD)


def _uuids(column: "pa.ChunkedArray") -> "pa.Array":
    """16 bytes as 32 hexadecimal digits, all rows at once."""
    import pyarrow as pa

    ids = column.cast(pa.binary(ID_BYTES)).combine_chunks()
    if ids.null_count:
        raise ValueError("the table has rows without a prediction_id")
    start = ids.offset * ID_BYTES
    digits = memoryview(ids.buffers()[1])[start : start + len(ids) * ID_BYTES].hex().encode()
    offsets = pa.array(range(0, len(digits) + 1, 2 * ID_BYTES), pa.int32())
    return pa.StringArray.from_buffers(len(ids), offsets.buffers()[1], pa.py_buffer(digits))


def create_partitions(cursor: Cursor[Any], days: Iterable[date]) -> None:
    """Make the partitions that are missing. Raises psycopg.DataError for a day far from today."""
    cursor.execute("SELECT public.make_prediction_days(%s)", [sorted(days)])


def maintain_partitions(connection: Connection[Any], retention_days: int | None) -> None:
    """Make the coming days and, with a retention, drop what was stored longer ago. Raises psycopg.Error."""
    today = datetime.now(UTC).date()
    with connection.cursor() as cursor:
        create_partitions(cursor, [today + timedelta(days) for days in range(_DAYS_AHEAD + 1)])
        if retention_days is not None:
            _drop_old(cursor, retention_days)


def _drop_old(cursor: Cursor[Any], retention_days: int) -> None:
    try:
        while dropped := _scalar(cursor, "SELECT public.drop_prediction_day(%s)", retention_days):
            logger.info("dropped %s: all of it was stored more than %d days ago", dropped, retention_days)
    except errors.LockNotAvailable:
        logger.warning("old predictions are in use and not dropped yet; trying again in an hour")
    outcomes = _scalar(cursor, "SELECT public.drop_old_outcomes(%s)", retention_days)
    if outcomes:
        logger.info("dropped %d outcomes that were stored more than %d days ago", outcomes, retention_days)
    _scalar(cursor, "SELECT public.drop_old_traffic(%s)", retention_days)


def _scalar(cursor: Cursor[Any], query: str, value: int) -> Any:
    row = cursor.execute(query, [value]).fetchone()
    return row[0] if row else None
