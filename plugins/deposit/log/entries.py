"""What the log holds: structures, and their form as entries of the spool.

They are written as arrays, so fields have no names on the disk: append new ones with a default, never reorder.
"""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from deposit.data.columns import NAMES

ID_BYTES = 16
SCORED, RANKED, OUTCOMES, TRAFFIC = "scored", "ranked", "outcomes", "traffic"


class Entry(NamedTuple):
    """One unit of the spool, kept or shipped as a whole.

    Args:
        kind: which structure `payload` holds.
        rows: how many rows it becomes in PostgreSQL.
        at: when it was made, unix seconds.
        payload: the structure as msgpack.
    """

    kind: str
    rows: int
    at: float
    payload: bytes


class ScoredRequest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request to /predict and its answer.

    Args:
        request_id: of the HTTP request.
        client: name of the key, never the key.
        model_id: which model answered.
        threshold: from which probability a customer `subscribes`.
        event_time: when the prediction counts as made, µs since the epoch, UTC.
        latency_ms: from the request's arrival to the answer being ready.
        prediction_ids: 16 bytes a row.
        probabilities: one a row.
        body: the JSON request in UTF-8, otherwise as received; it was checked before it was answered.
    """

    request_id: str
    client: str
    model_id: str
    threshold: float
    event_time: int
    latency_ms: float
    prediction_ids: bytes
    probabilities: list[float]
    body: bytes


class RankedBlock(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Some rows of a request to /rank; all fields but `table` as in `ScoredRequest`.

    Args:
        table: Arrow IPC stream (lz4) with the columns `deposit.data.columns.NAMES`, `id` (string or null),
            `prediction_id` (fixed_size_binary(16)) and `probability` (float64).
    """

    request_id: str
    client: str
    model_id: str
    threshold: float
    event_time: int
    latency_ms: float
    table: bytes


class ReportedOutcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What became of one prediction; `at` in µs since the epoch, None if the sender did not say."""

    prediction_id: str
    subscribed: bool
    at: int | None


class ReportedOutcomes(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request to /outcomes; `received_at` in µs since the epoch."""

    request_id: str
    client: str
    received_at: int
    outcomes: list[ReportedOutcome]


class TrafficCount(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Requests of one kind that one service answered in some seconds.

    Args:
        route: a known path, `/assets`, or `unknown`.
        status: of HTTP.
        client: name of the key; empty if it was not known.
        model_id: which model answered; empty if none did.
        seconds: to answer, all requests together.
        latency_upto: upper edges of the histogram's filled buckets, seconds, rising; the last may be infinite.
        latency_count: requests in each of these buckets; together all requests.
    """

    route: str
    status: int
    client: str
    model_id: str
    seconds: float
    latency_upto: list[float]
    latency_count: list[int]


class Traffic(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a service has answered since its last report.

    Args:
        instance: which process.
        at: the end of the period, µs since the epoch; unique with `instance`.
        counts: by route, status, client and model id, each once.
    """

    instance: str
    at: int
    counts: list[TrafficCount]


Content = ScoredRequest | RankedBlock | ReportedOutcomes | Traffic

_KINDS: dict[type[Content], str] = {
    ScoredRequest: SCORED,
    RankedBlock: RANKED,
    ReportedOutcomes: OUTCOMES,
    Traffic: TRAFFIC,
}
_DECODERS = {kind: msgspec.msgpack.Decoder(structure) for structure, kind in _KINDS.items()}
_encode = msgspec.msgpack.Encoder().encode


def encode_entry(content: Content, rows: int) -> Entry:
    """An entry of now."""
    return Entry(_KINDS[type(content)], rows, time.time(), _encode(content))


def encode_table(columns: Mapping[str, Any], ids: Any, prediction_ids: bytes, probabilities: Any) -> bytes:
    """The `table` of a `RankedBlock`: values by feature, ids as strings of Arrow, 16 bytes and a probability a row."""
    import pyarrow as pa  # 60 MB of memory that a service which never sees a list does without

    keys = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ID_BYTES), len(probabilities), [None, pa.py_buffer(prediction_ids)]
    )
    table = pa.table(
        {**{name: columns[name] for name in NAMES}, "id": ids, "prediction_id": keys, "probability": probabilities}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def decode_entry(entry: Entry) -> Content:
    """What `encode_entry` was given. Raises ValueError for what it never made."""
    decoder = _DECODERS.get(entry.kind)
    if decoder is None:
        raise ValueError(f"unknown kind {entry.kind!r}")
    return decoder.decode(entry.payload)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch_us(microseconds: int) -> datetime:
    """Exact, other than by a float of seconds. Raises OverflowError for what no calendar has.

    >>> from_epoch_us(1_272_879_000_000_001).isoformat()
    '2010-05-03T09:30:00.000001+00:00'
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def date_from_epoch_us(microseconds: int) -> date:
    """The day in UTC."""
    return from_epoch_us(microseconds).date()


def microseconds(when: datetime) -> int:
    """The inverse of `from_epoch_us`, for a time with an offset."""
    return (when - _EPOCH) // timedelta(microseconds=1)
