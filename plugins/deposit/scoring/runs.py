"""Rank any number of rows exactly and in bounded memory, by an external merge sort.

Some hundred thousand scored rows at a time are sorted and written to disk as a *run*. The runs are then merged, with a
few thousand rows of each in memory. The order is best first, ties in input order, so the result does not depend on how
the rows were divided into runs. Ranks are competition ranks: 1 plus the number of rows with a higher probability.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SCHEMA = pa.schema([("probability", pa.float64()), ("row", pa.int64()), ("id", pa.string())])
RANK = "rank"
FAN_IN = 128
"""Maximum number of runs to merge at once."""
_BATCH_ROWS = 1024
_HELD_ROWS = 200_000


def write_run(path: Path, rows: pa.Table) -> None:
    """Sort rows of `SCHEMA`, given in input order, and write them to disk atomically."""
    _write(path, iter([rows.take(pa.array(best_first(rows["probability"].to_numpy())))]))


def best_first(probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of a stable sort by `-probabilities`, which are from 0 to 1, in half the time; shape (n,).

    The bits of such floats sort like the floats, and are less than 2^62. Integers of their upper bits and the row's
    index sort fast, and leave little to the final stable sort, which is fast on nearly sorted input.
    """
    width = np.uint64(max(1, len(probabilities) - 1).bit_length())
    keys = ~(np.ascontiguousarray(probabilities).view(np.uint64) << np.uint64(2)) >> width << width
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    order = (keys & ((np.uint64(1) << width) - np.uint64(1))).astype(np.intp)
    return order[np.argsort(-probabilities[order], kind="stable")]


def merge_runs(paths: Sequence[Path], folder: Path) -> Iterator[pa.Table]:
    """Yield all rows of the runs, best first, as tables of `SCHEMA` and `rank`; `folder` holds intermediate runs."""
    rest = list(paths)
    level = 0
    while len(rest) > FAN_IN:
        groups = [rest[first : first + FAN_IN] for first in range(0, len(rest), FAN_IN)]
        merged = [folder / f"merged-{level}-{number:05d}.arrow" for number in range(len(groups))]
        for path, group in zip(merged, groups, strict=True):
            if not path.exists():
                _write(path, _merge(group))
        rest, level = merged, level + 1
    yield from _rank(_merge(rest))


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    fresh = path.with_suffix(".fresh")
    with fresh.open("wb") as file:
        with pa.ipc.new_stream(file, SCHEMA) as writer:
            for table in tables:
                writer.write_table(table, _BATCH_ROWS)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class _Cursor:
    """The rest of a run, with some rows in memory."""

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self._reader = opened.enter_context(pa.ipc.open_stream(opened.enter_context(pa.OSFile(str(path)))))
        self.rows = SCHEMA.empty_table()
        self.is_read = False
        """Whether no rows are left on disk."""

    def fill(self, wanted: int) -> None:
        """Read until `wanted` rows, or all remaining rows, are in memory."""
        batches: list[pa.RecordBatch] = []
        count = len(self.rows)
        while count < wanted and not self.is_read:
            try:
                batches.append(self._reader.read_next_batch())
                count += len(batches[-1])
            except StopIteration:
                self.is_read = True
        if batches:
            self.rows = pa.concat_tables([self.rows, pa.Table.from_batches(batches)]).combine_chunks()
        self.keys: NDArray[np.float64] = -self.rows["probability"].to_numpy()

    def take(self, last: float, row: int) -> pa.Table:
        """Remove and return the rows before key `last`, and those with that key up to the input's row `row`."""
        lower, upper = (int(np.searchsorted(self.keys, last, side)) for side in ("left", "right"))
        numbers = self.rows["row"].slice(lower, upper - lower).to_numpy()
        count = lower + int(np.searchsorted(numbers, row, "right"))
        taken, self.rows = self.rows.slice(0, count), self.rows.slice(count)
        return taken


def _merge(paths: Sequence[Path]) -> Iterator[pa.Table]:
    """Merge runs that are consecutive in the input into one order."""
    wanted = max(_BATCH_ROWS, _HELD_ROWS // max(1, len(paths)))
    with ExitStack() as opened:
        cursors = [_Cursor(path, opened) for path in paths]
        while cursors:
            for cursor in cursors:
                cursor.fill(wanted)
            # rows beyond the last one in memory of any run may still be on disk
            ends = [(cursor.keys[-1], cursor.rows["row"][-1].as_py()) for cursor in cursors if not cursor.is_read]
            last, row = min(ends, default=(np.inf, 0))
            taken = pa.concat_tables([cursor.take(last, row) for cursor in cursors]).combine_chunks()
            # a stable sort keeps ties in input order, which is the order of the runs
            yield taken.take(pa.array(np.argsort(-taken["probability"].to_numpy(), kind="stable")))
            cursors = [cursor for cursor in cursors if len(cursor.rows) or not cursor.is_read]


def _rank(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    done, rank, probability = 0, 0, np.nan
    for table in tables:
        if not len(table):
            continue
        values = table["probability"].to_numpy()
        is_lower = np.diff(values, prepend=probability) != 0
        ranks = np.maximum.accumulate(np.where(is_lower, done + 1 + np.arange(len(values)), rank))
        done, rank, probability = done + len(values), int(ranks[-1]), values[-1]
        yield table.append_column(RANK, pa.array(ranks))
