"""Rows that stand in a file more than once, in numbers that chance does not give. Pure."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data.columns import NAMES, TARGET
from deposit.data.violations import RepeatedBlock, RepeatedRows, Violation

_RUN = 12
"""Consecutive rows that stand further up in the same order: 4 at most in the public data set, 6 when it is sorted."""

_SHARE = 1 / 3
"""Of a period's rows that repeat others of it: 0.09 at most in the public data set, a half if all are there twice."""

_FACTOR = np.uint64(1_099_511_628_211)


def find(rows: pd.DataFrame) -> list[Violation]:
    """Blocks of rows that are copies of blocks above them, and periods whose rows are copies of each other."""
    hashes = pd.util.hash_pandas_object(rows[[*NAMES, TARGET]], index=False).to_numpy().astype(np.uint64)
    return [*_blocks(hashes, rows.index), *_periods(hashes, rows["period"])]


def _blocks(hashes: NDArray[np.uint64], lines: pd.Index) -> list[Violation]:
    """The first block, and how many rows stand in blocks: a joined file has thousands of them."""
    starts = len(hashes) - _RUN + 1
    if starts < 1:
        return []
    windows = np.zeros(starts, dtype=np.uint64)
    for offset in range(_RUN):
        windows = windows * _FACTOR + hashes[offset : offset + starts]
    again = pd.Index(windows).duplicated()
    if not again.any():
        return []
    start = int(again.argmax())
    earlier = int((windows == windows[start]).argmax())
    inside = np.zeros(len(hashes) + 1, dtype=np.int64)
    np.add.at(inside, np.flatnonzero(again), 1)
    np.add.at(inside, np.flatnonzero(again) + _RUN, -1)
    covered = int((np.cumsum(inside) > 0).sum())
    return [RepeatedBlock(int(lines[start]), int(lines[earlier]), covered)]


def _periods(hashes: NDArray[np.uint64], periods: pd.Series) -> list[Violation]:
    keys = pd.DataFrame({"period": periods.to_numpy(), "row": hashes, "line": periods.index})
    again = keys.duplicated(["period", "row"])
    sizes = keys.groupby("period", sort=False, observed=True).size()
    repeated = keys[again].groupby("period", sort=False, observed=True)["line"].agg(rows="size", line="min")
    many = repeated[(repeated["rows"] >= _RUN) & (repeated["rows"] >= _SHARE * sizes[repeated.index])]
    return [
        RepeatedRows(int(line), str(period), int(rows), int(sizes[period]))
        for period, rows, line in zip(many.index, many["rows"], many["line"], strict=True)
    ]
