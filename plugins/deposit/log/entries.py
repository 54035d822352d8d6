"""The records of the prediction log, and their encoding as entries of the spool.

Records are encoded as msgpack arrays without field names: append new fields with a default, never reorder them.
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
    """One entry of the spool, stored and shipped as a whole.

    Args:
        kind: type of the record in `payload`.
        rows: number of rows that the entry becomes in PostgreSQL.
        at: creation time, in Unix seconds.
        payload: the record, encoded as msgpack.
    """

    kind: str
    rows: int
    at: float
    payload: bytes


class ScoredRequest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request to /predict and its response.

    Args:
        request_id: ID of the HTTP request.
        client: name of the API key, never the key itself.
        model_id: model that scored the request.
        threshold: probability from which `subscribes` is true.
        event_time: time of the prediction, in µs since the epoch, UTC.
        latency_ms: time from the arrival of the request until the response is ready.
        prediction_ids: 16 bytes per row.
        probabilities: one per row.
        body: request body, as JSON in UTF-8 and otherwise as received; it has passed validation.
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
    """A block of rows of a request to /rank; all fields except `table` are those of `ScoredRequest`.

    Args:
        table: Arrow IPC stream (LZ4) with the columns `deposit.data.columns.NAMES`, `id` (string or null),
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
    """The outcome of one prediction; `at` is in µs since the epoch, or None if the client did not send it."""

    prediction_id: str
    subscribed: bool
    at: int | None


class ReportedOutcomes(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request to /outcomes; `received_at` is in µs since the epoch."""

    request_id: str
    client: str
    received_at: int
    outcomes: list[ReportedOutcome]


class TrafficCount(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Requests that one service has answered, for one combination of route, status, client and model.

    Args:
        route: a known path, `/assets`, or `unknown`.
        status: HTTP status code.
        client: name of the API key; empty if unknown.
        model_id: model that answered; empty if none did.
        seconds: total response time of these requests.
        latency_upto: upper edges of the non-empty histogram buckets, in seconds, ascending; the last may be infinite.
        latency_count: number of requests in each of these buckets.
    """

    route: str
    status: int
    client: str
    model_id: str
    seconds: float
    latency_upto: list[float]
    latency_count: list[int]


class Traffic(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Requests that a service has answered since its last report.

    Args:
        instance: ID of the process.
        at: end of the reported interval, in µs since the epoch; unique per `instance`.
        counts: one for each combination of route, status, client and model.
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
    """Encode a record as an entry with the current time."""
    return Entry(_KINDS[type(content)], rows, time.time(), _encode(content))


def encode_table(columns: Mapping[str, Any], ids: Any, prediction_ids: bytes, probabilities: Any) -> bytes:
    """Encode the `table` of a `RankedBlock`.

    Args:
        columns: Arrow array of each feature, by name.
        ids: customer IDs, as an Arrow string array.
        prediction_ids: 16 bytes per row.
        probabilities: one per row.
    """
    import pyarrow as pa  # imported here: it costs 60 MB that a service which never ranks a list saves

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
    """Decode the record of an entry. Raises ValueError if `encode_entry` did not create it."""
    decoder = _DECODERS.get(entry.kind)
    if decoder is None:
        raise ValueError(f"unknown kind {entry.kind!r}")
    return decoder.decode(entry.payload)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch_us(microseconds: int) -> datetime:
    """Convert without the rounding of a float timestamp. Raises OverflowError if the date is out of range.

    >>> from_epoch_us(1_272_879_000_000_001).isoformat()
    '2010-05-03T09:30:00.000001+00:00'
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def date_from_epoch_us(microseconds: int) -> date:
    """Return the UTC date of a timestamp in µs."""
    return from_epoch_us(microseconds).date()


def microseconds(when: datetime) -> int:
    """Return a timezone-aware datetime in µs since the epoch; the inverse of `from_epoch_us`."""
    return (when - _EPOCH) // timedelta(microseconds=1)
