"""Calendar months of rows as YYYY-MM: how they are assigned and ordered, and those of the public data set. Pure."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data.columns import MONTHS
from deposit.data.period import month_name
from deposit.errors import ContractError

PATTERN = r"[12]\d{3}-(?:0[1-9]|1[0-2])"
_NUMBER = {name: number for number, name in enumerate(MONTHS, start=1)}


def numbers(months: pd.Series) -> pd.Series:
    """Convert month names (jan … dec) to 1 … 12; other values become NaN."""
    return months.astype(object).map(_NUMBER)


def ordinal(period: str) -> int:
    """Convert a period (YYYY-MM) to a number of months, so that two periods can be subtracted.

    >>> ordinal("2010-01") - ordinal("2009-11")
    2
    """
    return int(period[:4]) * 12 + int(period[5:]) - 1


def month_after(period: str, months: int) -> str:
    """The period that many months later.

    >>> month_after("2009-11", 2)
    '2010-01'
    """
    return month_name(ordinal(period) + months)


def assign(months: pd.Series, first_year: int, last_year: int) -> pd.Series:
    """Assign periods (YYYY-MM) to rows in time order: the year advances when the month goes backwards.

    `months` holds names (jan … dec), indexed by line. The same month in two consecutive years counts as one period if
    no other month lies between. Raises ContractError with the line at which the year would exceed `last_year`, because
    the rows are not in time order.

    >>> assign(pd.Series(["nov", "dec", "jan"]), 2008, 2026).tolist()
    ['2008-11', '2008-12', '2009-01']
    """
    number = numbers(months).to_numpy(dtype=np.int64)
    years = first_year + np.concatenate([[0], np.cumsum(np.diff(number) < 0)])[: len(number)]
    late = years > last_year
    if late.any():
        line = months.index[int(late.argmax())]
        raise ContractError(
            f"line {line}: the year would be {last_year + 1}, as it starts at {first_year} and advances when the month "
            "goes backwards: sort the rows oldest first, add a column `period` (YYYY-MM), or correct the first year "
            "(--first-year, DEPOSIT_INGEST__FIRST_YEAR)"
        )
    codes, inverse = np.unique(years * 12 + number - 1, return_inverse=True)
    labels = np.array([month_name(code) for code in codes], dtype=object)
    return pd.Series(labels[inverse], index=months.index, name="period", dtype="str")


def check_order(periods: pd.Series) -> None:
    """Raise ContractError with the first line whose period is earlier than the one above it."""
    values = periods.to_numpy(dtype=object)
    back = values[1:] < values[:-1]
    if back.any():
        place = int(back.argmax()) + 1
        raise ContractError(
            f"line {periods.index[place]}: period {values[place]} comes after {values[place - 1]}: "
            "sort the rows oldest first, each of them once"
        )


PUBLIC_MONTHS: tuple[tuple[str, float, float], ...] = (
    ("2008-05", 93.994, -36.4),
    ("2008-06", 94.465, -41.8),
    ("2008-07", 93.918, -42.7),
    ("2008-08", 93.444, -36.1),
    ("2008-10", 93.798, -40.4),
    ("2008-11", 93.200, -42.0),
    ("2008-12", 92.756, -45.9),
    ("2009-03", 92.843, -50.0),
    ("2009-04", 93.075, -47.1),
    ("2009-05", 92.893, -46.2),
    ("2009-06", 92.963, -40.8),
    ("2009-07", 92.469, -33.6),
    ("2009-08", 92.201, -31.4),
    ("2009-09", 92.379, -29.8),
    ("2009-10", 92.431, -26.9),
    ("2009-11", 92.649, -30.1),
    ("2009-12", 92.713, -33.0),
    ("2010-03", 93.369, -34.8),
    ("2010-04", 93.749, -34.6),
    ("2010-05", 93.876, -40.0),
    ("2010-06", 94.055, -39.8),
    ("2010-07", 94.215, -40.3),
    ("2010-08", 94.027, -38.3),
    ("2010-09", 94.199, -37.5),
    ("2010-10", 94.601, -49.5),
    ("2010-11", 94.767, -50.8),
)
"""Months of the public data set, oldest first: period (YYYY-MM), consumer price index, consumer confidence index."""


def look_up(rows: pd.DataFrame) -> pd.Series:
    """Look up each row's period by its `cons.price.idx` and `cons.conf.idx`; missing if no public month has them."""
    keys = _keys(rows["cons.price.idx"].to_numpy(np.float64), rows["cons.conf.idx"].to_numpy(np.float64))
    places = pd.Index(_KEYS).get_indexer(pd.Index(keys))
    return pd.Series(np.append(_PERIODS, [None])[places], index=rows.index, name="period", dtype="str")


def assign_months(rows: pd.DataFrame) -> pd.Series:
    """Like `look_up`, but also missing if the row's `month` is a different one."""
    periods = look_up(rows)
    return periods.where(periods.map(_NUMBER_OF) == numbers(rows["month"]))


def _keys(price: NDArray[np.float64], confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Encode each pair as one integer, rounded to the data set's precision: a copy may hold 93.99400000000001."""
    return np.rint(price * 1000).astype(np.int64) * 100_000 + np.rint(confidence * 10).astype(np.int64)


_PERIODS = np.array([period for period, _, _ in PUBLIC_MONTHS], dtype=object)
_KEYS = _keys(
    np.array([price for _, price, _ in PUBLIC_MONTHS]), np.array([confidence for _, _, confidence in PUBLIC_MONTHS])
)
_NUMBER_OF = {period: ordinal(period) % 12 + 1 for period, _, _ in PUBLIC_MONTHS}
