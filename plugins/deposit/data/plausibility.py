"""Whether rows can be of the months that they are dated in, whichever way they were dated. Pure.

Frames are indexed by line and hold `period`, the features and `y`; their periods are in time order.
"""

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data import dating
from deposit.data.columns import NAMES, TARGET
from deposit.data.periods import ordinal
from deposit.data.violations import (
    FuturePeriod,
    Gap,
    KnownFigures,
    MixedFigures,
    RepeatedBlock,
    RepeatedRows,
    SharedFigures,
    Violation,
)

_GAP = 2
"""Months in a row that may be without calls: the public data set has none in two Januaries and Februaries."""

_FIGURES = ["cons.price.idx", "cons.conf.idx"]


def violations(rows: pd.DataFrame, tolerance: float, today: date) -> tuple[Violation, ...]:
    """Everything that speaks against the periods; `tolerance` is the share of one that may have other macro figures."""
    return (*_macro(rows, tolerance), *find(rows), *_calendar(rows, today))


def _macro(rows: pd.DataFrame, tolerance: float) -> list[Violation]:
    """A set of macro figures belongs to one period, and a period has one set of them."""
    counts = _counts(rows)
    share = counts["rows"] / counts.groupby("period")["rows"].transform("sum")
    usual = counts.index.isin(counts.groupby("period")["rows"].idxmax())
    return [
        *_shared(counts[share > tolerance]),
        *_known(counts[share > tolerance]),
        *_mixed(counts.assign(share=share)[~usual], tolerance),
    ]


def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    """For each period and set of figures in it: the number of rows and the first line."""
    lines = rows[["period", *_FIGURES]].assign(line=rows.index)
    groups = lines.groupby(["period", *_FIGURES], sort=False, observed=True)
    return groups["line"].agg(rows="size", line="min").reset_index()


def _shared(counts: pd.DataFrame) -> list[Violation]:
    again = counts[counts.duplicated(_FIGURES)]
    first = again[_FIGURES].merge(counts.drop_duplicates(_FIGURES), on=_FIGURES, how="left")["period"]
    columns = zip(again["line"], again["period"], first, *(again[name] for name in _FIGURES), strict=True)
    return [SharedFigures(int(line), *rest) for line, *rest in columns]


def _known(counts: pd.DataFrame) -> list[Violation]:
    known = dating.look_up(counts)
    other = known.notna() & (known != counts["period"])
    seen = counts[other]
    columns = zip(seen["line"], seen["period"], known[other], *(seen[name] for name in _FIGURES), strict=True)
    return [KnownFigures(int(line), *rest) for line, *rest in columns]


def _mixed(unusual: pd.DataFrame, tolerance: float) -> list[Violation]:
    months = unusual.groupby("period", sort=False, observed=True).agg(line=("line", "min"), share=("share", "sum"))
    seen = months[months["share"] > tolerance]
    return [
        MixedFigures(int(line), str(period), float(share))
        for period, line, share in zip(seen.index, seen["line"], seen["share"], strict=True)
    ]


def _calendar(rows: pd.DataFrame, today: date) -> list[Violation]:
    """Months that are still to come, and months that are missing."""
    first = rows["period"].drop_duplicates()
    months = list(zip(first.index.tolist(), first.tolist(), strict=True))
    now = ordinal(f"{today:%Y-%m}")
    found: list[Violation] = [FuturePeriod(line, period) for line, period in months if ordinal(period) > now]
    for (_, before), (line, period) in pairwise(months):
        missing = ordinal(period) - ordinal(before) - 1
        if missing > _GAP:
            found.append(Gap(line, period, before, missing))
    return found


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
