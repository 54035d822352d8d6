"""Predictions on their way to PostgreSQL: entries of the spool as rows of the table `predictions`."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg import Cursor

from deposit import database
from deposit.data.columns import FEATURES, NAMES, Category
from deposit.log.entries import RankedBlock, ScoredRequest, from_epoch_us
from deposit.log.staging import Staging

if TYPE_CHECKING:
    import pyarrow as pa

_FIELDS = [name.replace(".", "_") for name in NAMES]
_COLUMNS = (
    "prediction_id", "customer_id", *_FIELDS, "probability", "subscribes",
    "event_time", "request_id", "model_id", "threshold", "latency_ms", "client",
)  # fmt: skip
STAGING = Staging(database.predictions, _COLUMNS)
_INSERT = STAGING.sql(
    "INSERT INTO public.predictions ({columns}) SELECT {columns} FROM {staging} ON CONFLICT DO NOTHING"
)
_ID_BYTES = 16
_NUL, _INSTEAD = "\0", "�"
"""PostgreSQL's text holds every character but this one."""

_types: dict[bool, type] = {True: int, False: float}
_Customer = msgspec.defstruct(
    "_Customer",
    [
        *(
            (field, str if isinstance(column, Category) else _types[column.integer])
            for field, column in zip(_FIELDS, FEATURES, strict=True)
        ),
        ("id", Any, None),
    ],
    rename=dict(zip(_FIELDS, NAMES, strict=True)),
    gc=False,
)


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
    ids = [digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES)]
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

    try:
        table = pa.ipc.open_stream(block.table).read_all().combine_chunks()
        missing = {*NAMES, "id", "prediction_id", "probability"} - set(table.column_names)
        if missing:
            raise ValueError(f"the table has no column {', '.join(sorted(missing))}")
        probability = table["probability"].cast(pa.float64())
        columns = [
            _uuids(table["prediction_id"]),
            compute.replace_substring(table["id"].cast(pa.string()), _NUL, _INSTEAD),
            *(table[name].cast(_arrow_type(column)) for name, column in zip(NAMES, FEATURES, strict=True)),
            probability,
            compute.greater_equal(probability, block.threshold),
            *(pa.repeat(value, table.num_rows) for value in _head(block)),
        ]
        written = io.BytesIO()
        # strings are quoted and null is empty, as COPY wants them
        csv.write_csv(pa.table(columns, list(_COLUMNS)), written, csv.WriteOptions(include_header=False))
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


def _identity(given: int | str | None) -> str | None:
    return None if given is None else str(given).replace(_NUL, _INSTEAD)


def _arrow_type(column: Any) -> "pa.DataType":
    import pyarrow as pa

    if isinstance(column, Category):
        return pa.string()
    return pa.int16() if column.integer else pa.float64()


def _uuids(column: "pa.ChunkedArray") -> "pa.Array":
    """16 bytes as 32 hexadecimal digits, all rows at once."""
    import pyarrow as pa

    ids = column.cast(pa.binary(_ID_BYTES)).combine_chunks()
    if ids.null_count:
        raise ValueError("the table has rows without a prediction_id")
    start = ids.offset * _ID_BYTES
    digits = memoryview(ids.buffers()[1])[start : start + len(ids) * _ID_BYTES].hex().encode()
    offsets = pa.array(range(0, len(digits) + 1, 2 * _ID_BYTES), pa.int32())
    return pa.StringArray.from_buffers(len(ids), offsets.buffers()[1], pa.py_buffer(digits))
