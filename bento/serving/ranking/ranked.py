"""Scoring and sorting of a list, with the best customers first."""

import ctypes
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deposit.data.blocks import ID, Block, Rejected, read_blocks
from deposit.data.columns import LEAKAGE_COLUMN, NAMES
from deposit.data.readings import Reading, Readings
from deposit.data.tables.cells import near, plain
from deposit.data.tables.dialect import Dialect, dialect_of
from deposit.data.tables.formats import cut
from deposit.data.tables.header import Header, read_header
from deposit.data.tables.plaintext import PlainText
from deposit.data.tables.records import Records, find_records
from deposit.log.entries import Entry, RankedBlock, encode_entry, encode_table
from serving.bodies import refusals
from serving.models import LoadedModel
from serving.problems import Problem, RequestError, http_error
from serving.ranking.rank_options import RankOptions
from serving.recorder import BYTES, new_ids

# so that freed memory is returned to the system: Arrow's own allocator would keep tens of MiB
pa.set_memory_pool(pa.system_memory_pool())

_BLOCK_ROWS = 25_000
"""Rows per block. The cells of two blocks are in memory at a time: as text, as values and as the model's matrix."""
_MAX_CELLS = 1000
_MAX_ROW_PROBLEMS, _MAX_LETTERS, _MOST_NAME = 10, 300, 40
_NO_NAMES = "the first line (in a workbook, that of the first visible sheet) must name the columns"
_LEAK = "known only after the call, so no prediction may use it"


class RequestOrigin(NamedTuple):
    """The request of a list, for the log; `event_time` in µs since the epoch, `started` from `time.perf_counter()`."""

    request_id: str
    client: str
    event_time: int
    started: float


@dataclass(frozen=True, eq=False)
class Ranked:
    """A ranked list of n valid rows; the rows themselves are in `file`, in UTF-8.

    Args:
        numbers: record number of each row, best first, shape (n,).
        probabilities: predicted probabilities in the same order, shape (n,).
        prediction_ids: prediction ids in the same order, shape (n, 16).
        ids: customer ids in the same order.
        called: number of customers to call, from the top of the list.
        rejected: invalid rows, in the file's order.
        stale: whether the model had expired at the time of the request.
        readings: values of the valid rows that were read by their spelling.
        dialect: charset, separator and header line of the file.
    """

    file: IO[bytes]
    records: Records
    header: Header
    loaded: LoadedModel
    options: RankOptions
    numbers: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    prediction_ids: NDArray[np.uint8]
    ids: pa.Array
    called: int
    rejected: list[Rejected]
    stale: bool
    readings: tuple[Reading, ...]
    dialect: Dialect

    @property
    def extra(self) -> dict[str, str]:
        """Columns of the list that are not used, each with the reason."""
        return {name: _LEAK if plain(name) == LEAKAGE_COLUMN else "not used" for name in self.header.unknown}

    def expected_values(self, part: slice) -> NDArray[np.float64]:
        """Return the expected value of calling each customer in a slice of the list."""
        return self.probabilities[part] * self.options.deposit_value - self.options.call_cost


def rank(
    text: PlainText,
    loaded: LoadedModel,
    options: RankOptions,
    origin: RequestOrigin,
    max_rows: int,
    record: Callable[[Entry], None],
) -> Ranked:
    """Score all rows, record each block by calling `record`, and sort the rows.

    Raises RequestError 413 if there are too many rows, 422 if the file is not a list of customers or has no valid row.
    """
    file, (header, records) = text.file, _find_rows(text.file, max_rows)
    blocks, readings = [], Readings()
    for block in _blocks(file, records, header):
        probabilities = loaded.artifact.probabilities(loaded.artifact.encoder.encode_columns(block.columns))
        ids = new_ids(len(probabilities))
        if len(probabilities):
            record(_entry(block, probabilities, ids, loaded, origin))
        readings.add(block.readings)
        blocks.append((block.records, probabilities, np.frombuffer(ids, np.uint8), block.ids, block.rejected))
    rejected = [row for *_, bad in blocks for row in bad]
    if not sum(len(probabilities) for _, probabilities, *_ in blocks):
        raise RequestError(
            422, _row_problems(records, rejected) or [Problem(None, "file", "the list has no customers")]
        )
    numbers, probabilities, prediction_ids = (np.concatenate([block[part] for block in blocks]) for part in range(3))
    texts = pa.concat_arrays([block[3] for block in blocks])
    # freed before sorting, which needs as much memory again
    del blocks
    give_back_memory()
    # stable, so that equal probabilities keep the file's order
    order = np.argsort(-probabilities, kind="stable")
    numbers, probabilities = numbers[order], probabilities[order]
    prediction_ids, ids = prediction_ids.reshape(-1, BYTES)[order], texts.take(pa.array(order))
    del order, texts
    give_back_memory()
    called, stale = _called(probabilities, options), loaded.is_stale(origin.event_time)
    ordered, dialect = (numbers, probabilities, prediction_ids, ids), dialect_of(header, text.codec)
    return Ranked(file, records, header, loaded, options, *ordered, called, rejected, stale, readings.listed(), dialect)


def give_back_memory() -> None:
    """Return freed memory to the system; glibc would otherwise keep it for later allocations."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _find_rows(file: IO[bytes], max_rows: int) -> tuple[Header, Records]:
    with refusals(422, "file"):
        header = read_header(file, (*NAMES, ID))
        _check_columns(header)
        records = find_records(file, header)
    if len(records) > max_rows:
        raise http_error(413, f"has {len(records):,} rows, {max_rows:,} are taken at once; split it", "file")
    return header, records


def _blocks(file: IO[bytes], records: Records, header: Header) -> Iterator[Block]:
    """Yield all rows in blocks, reading the next block while one is scored; neither holds the GIL for long."""
    blocks = read_blocks(file, records, header, _BLOCK_ROWS)
    with refusals(422, "file"), ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading") as reading:
        following = reading.submit(next, blocks, None)
        while (block := following.result()) is not None:
            following = reading.submit(next, blocks, None)
            yield block


def _called(probabilities: NDArray[np.float64], options: RankOptions) -> int:
    if options.capacity is not None:
        return min(options.capacity, len(probabilities))
    return int((probabilities > options.break_even).sum())


def _entry(
    block: Block, probabilities: NDArray[np.float64], ids: bytes, loaded: LoadedModel, origin: RequestOrigin
) -> Entry:
    logged = RankedBlock(
        request_id=origin.request_id,
        client=origin.client,
        model_id=loaded.model_id,
        threshold=loaded.artifact.threshold,
        event_time=origin.event_time,
        latency_ms=(time.perf_counter() - origin.started) * 1000,
        table=encode_table(block.columns, block.ids, ids, probabilities),
    )
    return encode_entry(logged, len(probabilities))


def _check_columns(header: Header) -> None:
    """Raise RequestError 422 naming each column that is missing or appears twice."""
    if len(header.names) > _MAX_CELLS:
        raise http_error(422, f"the first line has more than {_MAX_CELLS} cells", "file")
    if not header.places.keys() & set(NAMES):
        raise http_error(422, f"{_NO_NAMES}: {', '.join(NAMES)}", "file")
    problems = [
        Problem(None, name, f"the list has no such column{_suggestion(name, header.unknown)}")
        for name in NAMES
        if name not in header.places
    ]
    problems = problems or [Problem(None, name, "the list has this column twice") for name in header.repeated]
    if problems:
        raise RequestError(422, problems)


def _suggestion(name: str, unknown: list[str]) -> str:
    nearest = near(name, unknown)
    return f"; if {cut(nearest, _MOST_NAME)!r} is it, rename that" if nearest else ""


def _row_problems(records: Records, rejected: list[Rejected]) -> list[Problem]:
    """Return the first invalid rows as problems, shortened, because an empty row names all columns."""
    reasons = [(records.lines[row.record], row.reason) for row in rejected[:_MAX_ROW_PROBLEMS]]
    return [Problem(None, "file", f"line {line}: {cut(text, _MAX_LETTERS)}") for line, text in reasons]
