"""Assign a calendar month to each row, and check that the months are plausible. Pure.

Rows have a `period` of their own, or a first year is configured, or they belong to the public data set, whose months
are known. Frames are indexed by line; frames with `period` also hold the features and `y`, in time order.
"""

from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data import periods
from deposit.data.columns import NAMES, TARGET
from deposit.data.violations import (
    FuturePeriod,
    Gap,
    KnownFigures,
    MixedFigures,
    RepeatedBlock,
    RepeatedRows,
    SharedFigures,
    Violation,
    refusal,
)
from deposit.errors import ContractError
from deposit.sections import IngestSettings, Rule

_LAST_YEAR = 2999
"""Highest year that the pattern of a period allows."""


@dataclass(frozen=True)
class Dated:
    """Rows with `period`, in time order, and the violations that were accepted by the name of their rule."""

    rows: pd.DataFrame
    accepted: tuple[Violation, ...]


def date_rows(rows: pd.DataFrame, settings: IngestSettings, today: date) -> Dated:
    """Add a period to each checked row; rows are indexed by line.

    Raises ContractError if the year is unknown, the rows are not in time order, or a rule is violated and not accepted.
    """
    dated = rows.assign(period=_assign(rows, settings, today))
    violations = find_violations(dated, settings.macro_tolerance, today)
    refused = [violation for violation in violations if violation.rule not in settings.accept]
    if refused:
        raise refusal(refused)
    return Dated(dated, violations)


def _assign(rows: pd.DataFrame, settings: IngestSettings, today: date) -> pd.Series:
    if "period" in rows:
        dated = rows["period"]
    elif settings.first_year is not None:
        last = _LAST_YEAR if Rule.FUTURE in settings.accept else max(today.year, settings.first_year)
        return periods.assign(rows["month"], settings.first_year, last)
    else:
        dated = _public(rows)
    periods.check_order(dated)
    return dated


def _public(rows: pd.DataFrame) -> pd.Series:
    dated = periods.assign_months(rows)
    if dated.isna().any():
        line = dated.index[int(dated.isna().to_numpy().argmax())]
        price, confidence, month = rows.loc[line, ["cons.price.idx", "cons.conf.idx", "month"]]
        raise ContractError(
            "the year of the rows is not known: add a column `period` (YYYY-MM) or `date` (YYYY-MM-DD), or state the "
            "first row's year: --first-year, `first_year` in the DAG's form",
            [
                f"line {line} is not of the public data set, whose years are known: no {month} there has a price index "
                f"of {price:g} and a confidence index of {confidence:g}"
            ],
        )
    return dated


_GAP = 2
"""Consecutive months that may have no calls: the public data set has none in January and February of two years."""

_FIGURES = ["cons.price.idx", "cons.conf.idx"]


def find_violations(rows: pd.DataFrame, tolerance: float, today: date) -> tuple[Violation, ...]:
    """Find all violations; up to `tolerance` of a period's rows may have other macro figures than the rest."""
    return (*_macro(rows, tolerance), *find_repeats(rows), *_calendar(rows, today))


def _macro(rows: pd.DataFrame, tolerance: float) -> list[Violation]:
    """Check that each set of macro figures belongs to one period, and that each period has one set."""
    counts = _counts(rows)
    share = counts["rows"] / counts.groupby("period")["rows"].transform("sum")
    usual = counts.index.isin(counts.groupby("period")["rows"].idxmax())
    return [
        *_shared(counts[share > tolerance]),
        *_known(counts[share > tolerance]),
        *_mixed(counts.assign(share=share)[~usual], tolerance),
    ]


def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Number of rows and first line, by period and set of macro figures."""
    lines = rows[["period", *_FIGURES]].assign(line=rows.index)
    groups = lines.groupby(["period", *_FIGURES], sort=False, observed=True)
    return groups["line"].agg(rows="size", line="min").reset_index()


def _shared(counts: pd.DataFrame) -> list[Violation]:
    again = counts[counts.duplicated(_FIGURES)]
    first = again[_FIGURES].merge(counts.drop_duplicates(_FIGURES), on=_FIGURES, how="left")["period"]
    columns = zip(again["line"], again["period"], first, *(again[name] for name in _FIGURES), strict=True)
    return [SharedFigures(int(line), *rest) for line, *rest in columns]


def _known(counts: pd.DataFrame) -> list[Violation]:
    public = periods.look_up(counts)
    other = public.notna() & (public != counts["period"])
    wrong = counts[other]
    columns = zip(wrong["line"], wrong["period"], public[other], *(wrong[name] for name in _FIGURES), strict=True)
    return [KnownFigures(int(line), *rest) for line, *rest in columns]


def _mixed(unusual: pd.DataFrame, tolerance: float) -> list[Violation]:
    months = unusual.groupby("period", sort=False, observed=True).agg(line=("line", "min"), share=("share", "sum"))
    mixed = months[months["share"] > tolerance]
    return [
        MixedFigures(int(line), str(period), float(share))
        for period, line, share in zip(mixed.index, mixed["line"], mixed["share"], strict=True)
    ]


def _calendar(rows: pd.DataFrame, today: date) -> list[Violation]:
    """Find months in the future, and gaps between months."""
    first = rows["period"].drop_duplicates()
    months = list(zip(first.index.tolist(), first.tolist(), strict=True))
    now = periods.ordinal(f"{today:%Y-%m}")
    violations: list[Violation] = [
        FuturePeriod(line, period) for line, period in months if periods.ordinal(period) > now
    ]
    for (_, before), (line, period) in pairwise(months):
        missing = periods.ordinal(period) - periods.ordinal(before) - 1
        if missing > _GAP:
            violations.append(Gap(line, period, before, missing))
    return violations


_RUN = 12
"""Minimum rows of a copied block. The longest repeated run in the public data set has 4 rows, or 6 once sorted."""

_SHARE = 1 / 3
"""Share of a period's rows that may repeat others: 0.09 at most in the public data set, a half if all occur twice."""

_FACTOR = np.uint64(1_099_511_628_211)


def find_repeats(rows: pd.DataFrame) -> list[Violation]:
    """Find blocks of rows that copy earlier blocks, and periods whose rows copy each other."""
    hashes = pd.util.hash_pandas_object(rows[[*NAMES, TARGET]], index=False).to_numpy().astype(np.uint64)
    return [*_blocks(hashes, rows.index), *_repeated_rows(hashes, rows["period"])]


def _blocks(hashes: NDArray[np.uint64], lines: pd.Index) -> list[Violation]:
    """Report the first copied block with the number of rows in all of them: concatenated files have thousands."""
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


def _repeated_rows(hashes: NDArray[np.uint64], months: pd.Series) -> list[Violation]:
    keys = pd.DataFrame({"period": months.to_numpy(), "row": hashes, "line": months.index})
    again = keys.duplicated(["period", "row"])
    sizes = keys.groupby("period", sort=False, observed=True).size()
    repeated = keys[again].groupby("period", sort=False, observed=True)["line"].agg(rows="size", line="min")
    many = repeated[(repeated["rows"] >= _RUN) & (repeated["rows"] >= _SHARE * sizes[repeated.index])]
    return [
        RepeatedRows(int(line), str(period), int(rows), int(sizes[period]))
        for period, rows, line in zip(many.index, many["rows"], many["line"], strict=True)
    ]
