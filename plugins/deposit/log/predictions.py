"""The table `predictions`: rows from log entries, daily partitions, and retention."""

import io
import logging
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg import Connection, Cursor, errors, sql

from deposit.data.columns import CATEGORIES, FEATURES, NAMES, customer_struct
from deposit.log.entries import ID_BYTES, RankedBlock, ScoredRequest, from_epoch_us, microseconds
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
_TABLE = sql.Identifier("public", "predictions")
_COPY = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})")
_BINARY, _CSV = sql.SQL("binary"), sql.SQL("csv")
_DAYS_AHEAD = 7
_NUL, _REPLACEMENT = "\0", "�"
"""NUL, the only character that PostgreSQL cannot store in text, and its replacement."""

# types only, no ranges: a logged request is stored even if the limits have changed since
_Customer = customer_struct(lambda column: column.kind, Any)


class _Body(msgspec.Struct):
    customers: list[_Customer]  # type: ignore[valid-type]


# not strict: validation accepts 41.0 for an integer, and PostgreSQL needs 41
_read_body = msgspec.json.Decoder(_Body, strict=False).decode

# Rows are written in the binary format of COPY, which costs PostgreSQL half as much as text. A row is the number of its
# columns, then each value preceded by its length, in big-endian order
# (https://www.postgresql.org/docs/current/sql-copy.html, File Formats).
_SIGNATURE, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH = microseconds(datetime(2000, 1, 1, tzinfo=UTC))
_CODES = {int: "h", float: "d"}
_NUMBERS = {place: column for place, column in enumerate(FEATURES) if column.kind is not str}
_PACKED = (
    "prediction_id", "probability", "subscribes",
    *(column.sql_name for column in _NUMBERS.values()),
    *(column.sql_name for column in CATEGORIES.values()),
    "customer_id", "event_time", "threshold", "latency_ms", "request_id", "model_id", "client",
)  # fmt: skip
"""The columns in the order of `scored_rows`: numbers, strings, then the columns that all rows of a request share."""
_PACKED_NAMES = sql.SQL(", ").join(map(sql.Identifier, _PACKED))
_pack_numbers = struct.Struct(">h i16s id i?" + "".join(f"i{_CODES[column.kind]}" for column in _NUMBERS.values())).pack
_pack_shared = struct.Struct(">iq id if").pack
_SIZES = tuple(struct.calcsize(code) for code in _CODES.values())
_SIZE_AT = dict(zip(_CODES, range(2), strict=True))
# picks from (*_SIZES, *values of a customer): each number, preceded by its size
_numbers_of = itemgetter(
    *(at for place, column in _NUMBERS.items() for at in (_SIZE_AT[column.kind], len(_SIZES) + place))
)
_categories_of = itemgetter(*(place for place in range(len(FEATURES)) if place not in _NUMBERS))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(4, "big") + encoded


class _Texts(dict[str, bytes]):
    """Precomputed `_text` of all allowed categories; computes it for others, which older versions may have allowed."""

    def __missing__(self, value: str) -> bytes:
        return _text(value)


_text_of = _Texts({value: _text(value) for column in CATEGORIES.values() for value in column.allowed}).__getitem__


def scored_rows(request: ScoredRequest) -> bytes:
    """Encode the rows of a request for a binary `COPY`, without header and trailer.

    Raises ValueError if the request has different numbers of customers, IDs and probabilities, or numbers out of range.
    """
    customers: list[Any] = _read_body(request.body).customers
    threshold, width = request.threshold, len(_PACKED)
    parts: list[bytes] = []
    try:
        shared = _shared(request)
        for values, (prediction_id,), probability in zip(
            map(msgspec.structs.astuple, customers),
            struct.iter_unpack(f"{ID_BYTES}s", request.prediction_ids),
            request.probabilities,
            strict=True,
        ):
            numbers = _numbers_of((*_SIZES, *values))
            parts += (
                _pack_numbers(width, ID_BYTES, prediction_id, 8, probability, 1, probability >= threshold, *numbers),
                *map(_text_of, _categories_of(values)),
                _NULL if values[-1] is None else _text(str(values[-1]).replace(_NUL, _REPLACEMENT)),
                shared,
            )
    except struct.error as error:
        raise ValueError(f"it has malformed ids or numbers out of range: {error}") from error
    return b"".join(parts)


def _shared(request: ScoredRequest) -> bytes:
    times = _pack_shared(8, request.event_time - _EPOCH, 8, request.threshold, 4, request.latency_ms)
    return times + b"".join(map(_text, (request.request_id, request.model_id, request.client)))


def ranked_csv(block: RankedBlock) -> bytes:
    """Convert the rows of a block to CSV without a header. Raises ValueError if its table is malformed."""
    # imported here: it costs 60 MB that a shipper which never sees a ranked list saves
    import pyarrow as pa
    from pyarrow import compute, csv

    types = {str: pa.string(), int: pa.int16(), float: pa.float64()}
    shared = (
        from_epoch_us(block.event_time).isoformat(), block.request_id, block.model_id, block.threshold,
        block.latency_ms, block.client,
    )  # fmt: skip
    try:
        table = pa.ipc.open_stream(block.table).read_all().combine_chunks()
        missing = {*NAMES, "id", "prediction_id", "probability"} - set(table.column_names)
        if missing:
            raise ValueError(f"the table has no column {', '.join(sorted(missing))}")
        probability = table["probability"].cast(pa.float64())
        columns = [
            _uuids(table["prediction_id"]),
            compute.replace_substring(table["id"].cast(pa.string()), _NUL, _REPLACEMENT),
            *(table[column.name].cast(types[column.kind]) for column in FEATURES),
            probability,
            compute.greater_equal(probability, block.threshold),
            *(pa.repeat(value, table.num_rows) for value in shared),
        ]
        written = io.BytesIO()
        # strings are quoted and nulls are empty, as COPY expects
        csv.write_csv(pa.table(columns, list(STAGING.types)), written, csv.WriteOptions(include_header=False))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the table cannot be read: {error}") from error
    return written.getvalue()


def store(cursor: Cursor[Any], rows: Sequence[bytes], lists: Sequence[bytes], *, some_stored: bool) -> None:
    """Insert rows into partitions that must exist. Raises psycopg.Error.

    Args:
        cursor: cursor of a transaction.
        rows: results of `scored_rows`.
        lists: results of `ranked_csv`.
        some_stored: skip rows that are stored already. Without it, which costs half as much, all rows must be new: a
            stored one raises psycopg.errors.UniqueViolation.
    """
    into = STAGING.name if some_stored else _TABLE
    if rows:
        with cursor.copy(_COPY.format(into, _PACKED_NAMES, _BINARY)) as copy:
            copy.write(b"".join((_SIGNATURE, *rows, _END)))
    if lists:
        with cursor.copy(_COPY.format(into, STAGING.columns, _CSV)) as copy:
            for content in lists:
                copy.write(content)
    if some_stored:
        cursor.execute(_INSERT)


def _uuids(column: "pa.ChunkedArray") -> "pa.Array":
    """Convert 16-byte values to 32 hexadecimal digits, for all rows at once."""
    import pyarrow as pa

    ids = column.cast(pa.binary(ID_BYTES)).combine_chunks()
    if ids.null_count:
        raise ValueError("the table has rows without a prediction_id")
    start = ids.offset * ID_BYTES
    digits = memoryview(ids.buffers()[1])[start : start + len(ids) * ID_BYTES].hex().encode()
    offsets = pa.array(range(0, len(digits) + 1, 2 * ID_BYTES), pa.int32())
    return pa.StringArray.from_buffers(len(ids), offsets.buffers()[1], pa.py_buffer(digits))


def create_partitions(cursor: Cursor[Any], days: Iterable[date]) -> None:
    """Create the missing partitions. Raises psycopg.DataError for a day too far from today."""
    cursor.execute("SELECT public.make_prediction_days(%s)", [sorted(days)])


def maintain_partitions(connection: Connection[Any], retention_days: int | None) -> None:
    """Create the partitions of the next days and, if a retention is set, drop expired data. Raises psycopg.Error."""
    today = datetime.now(UTC).date()
    with connection.cursor() as cursor:
        create_partitions(cursor, [today + timedelta(days) for days in range(_DAYS_AHEAD + 1)])
        if retention_days is not None:
            _drop_old(cursor, retention_days)


def _drop_old(cursor: Cursor[Any], retention_days: int) -> None:
    try:
        while dropped := _scalar(cursor, "SELECT public.drop_prediction_day(%s)", retention_days):
            logger.info("dropped %s: all its rows were stored more than %d days ago", dropped, retention_days)
    except errors.LockNotAvailable:
        logger.warning("expired predictions are in use and were not dropped; retrying in an hour")
    outcomes = _scalar(cursor, "SELECT public.drop_old_outcomes(%s)", retention_days)
    if outcomes:
        logger.info("dropped %d outcomes that were stored more than %d days ago", outcomes, retention_days)
    _scalar(cursor, "SELECT public.drop_old_traffic(%s)", retention_days)


def _scalar(cursor: Cursor[Any], query: str, value: int) -> Any:
    row = cursor.execute(query, [value]).fetchone()
    return row[0] if row else None
