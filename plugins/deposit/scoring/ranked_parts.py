"""Write ranked rows as Parquet files of a million rows each, best first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from deposit.files import file_sha256
from deposit.log.entries import ID_BYTES
from deposit.scoring.journal import PartDone, ScorePlan
from deposit.scoring.runs import RANK

PART_ROWS = 1_000_000
_GROUP_ROWS = 100_000
_MODEL_TYPE = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("probability", pa.float64()),
        ("expected_value", pa.float64()),
        (RANK, pa.int64()),
        ("model_id", _MODEL_TYPE),
        ("prediction_id", pa.string()),
    ]
)
_COMPRESSED = {name: "none" if name in ("probability", "expected_value") else "snappy" for name in SCHEMA.names}
"""Compression codecs by column; floats with random digits do not compress."""
_WITH_STATISTICS = ["probability", "expected_value", RANK]
"""Columns with minimum and maximum in the file, which let a reader skip row groups."""


def prediction_ids(run_id: str, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Derive ids of a run's rows, shape (n, 16): UUIDs of version 8 (RFC 9562), the same on every call."""
    ids = np.empty((len(rows), ID_BYTES), np.uint8)
    ids[:, :10] = np.frombuffer(bytes.fromhex(run_id), np.uint8)[:10]
    ids[:, 10:] = rows.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x80
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids


def write_parts(
    ranked: Iterator[pa.Table], plan: ScorePlan, first: int, folder: Path
) -> Iterator[tuple[Path, PartDone]]:
    """Write the parts from number `first` on; each file in `folder` exists until the next part is requested."""
    groups = _regroup(ranked, _GROUP_ROWS)
    each_part = PART_ROWS // _GROUP_ROWS
    for _ in range(first * each_part):
        if next(groups, None) is None:
            return
    number, group = first, next(groups, None)
    while group is not None:
        path = folder / f"part-{number:05d}.parquet"
        rows, first_rank, count = 0, group[RANK][0].as_py(), 0
        with parquet.ParquetWriter(
            path, SCHEMA, use_dictionary=["model_id"], compression=_COMPRESSED, write_statistics=_WITH_STATISTICS
        ) as writer:
            while group is not None and count < each_part:
                writer.write_table(_to_schema(group, plan))
                rows, last_rank, count = rows + len(group), group[RANK][-1].as_py(), count + 1
                group = next(groups, None)
        size, sha256 = path.stat().st_size, file_sha256(path)
        yield (
            path,
            PartDone(name=path.name, rows=rows, size=size, sha256=sha256, first_rank=first_rank, last_rank=last_rank),
        )
        path.unlink()
        number += 1


def _regroup(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of `rows` rows; the last table may have fewer."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += len(table)
        while count >= rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows).combine_chunks()
            waiting, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _to_schema(group: pa.Table, plan: ScorePlan) -> pa.Table:
    count = len(group)
    probability = group["probability"].to_numpy()
    return pa.table(
        {
            "id": group["id"],
            "probability": probability,
            "expected_value": probability * plan.deposit_value - plan.call_cost,
            RANK: group[RANK],
            "model_id": pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [plan.model_id]),
            "prediction_id": _uuid_texts(prediction_ids(plan.run_id, group["row"].to_numpy()))
            if plan.is_logged
            else pa.nulls(count, pa.string()),
        },
        schema=SCHEMA,
    )


def _uuid_texts(ids: NDArray[np.uint8]) -> Any:
    """Format ids as UUID text, all rows at once."""
    digits = np.frombuffer(ids.tobytes().hex().encode(), np.uint8).reshape(-1, 2 * ID_BYTES)
    dash = np.full((len(digits), 1), ord("-"), np.uint8)
    ends = (8, 12, 16, 20)
    pieces = np.split(digits, ends, axis=1)
    text = np.hstack([each for piece in pieces for each in (piece, dash)][:-1])
    width = text.shape[1]
    offsets = pa.array(np.arange(0, width * len(text) + 1, width, dtype=np.int32))
    return pa.StringArray.from_buffers(len(text), offsets.buffers()[1], pa.py_buffer(np.ascontiguousarray(text)))
