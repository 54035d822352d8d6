"""Calendar months of rows: periods as YYYY-MM, and their order. Pure."""

import numpy as np
import pandas as pd

from deposit.data.columns import MONTHS
from deposit.errors import ContractError

PATTERN = r"[12]\d{3}-(?:0[1-9]|1[0-2])"
_NUMBER = {name: number for number, name in enumerate(MONTHS, start=1)}


def numbers(months: pd.Series) -> pd.Series:
    """Month names (jan … dec) as 1 … 12; other values give NaN."""
    return months.astype(object).map(_NUMBER)


def ordinal(period: str) -> int:
    """A period (YYYY-MM) as a number of months, so that two can be subtracted."""
    return int(period[:4]) * 12 + int(period[5:]) - 1


def assign(months: pd.Series, first_year: int, last_year: int) -> pd.Series:
    """Periods (YYYY-MM) of rows in time order: the year steps when the month goes backwards.

    `months` holds names (jan … dec), indexed by line. Two runs of one month with nothing between them count as one.
    Raises ContractError naming the line where the year would pass `last_year`: the rows are not in time order.
    """
    number = numbers(months).to_numpy(dtype=np.int64)
    years = first_year + np.concatenate([[0], np.cumsum(np.diff(number) < 0)])[: len(number)]
    late = years > last_year
    if late.any():
        line = months.index[int(late.argmax())]
        raise ContractError(
            f"line {line}: it would be of {last_year + 1}, as the year steps from {first_year} on where the month goes "
            "backwards: sort the rows oldest first, add a column `period` (YYYY-MM), or correct the first year "
            "(--first-year, DEPOSIT_INGEST__FIRST_YEAR)"
        )
    codes, inverse = np.unique(years * 12 + number - 1, return_inverse=True)
    labels = np.array([f"{code // 12:04d}-{code % 12 + 1:02d}" for code in codes], dtype=object)
    return pd.Series(labels[inverse], index=months.index, name="period", dtype="str")


def check_order(periods: pd.Series) -> None:
    """Raise ContractError naming the first line whose period is before the one above it."""
    values = periods.to_numpy(dtype=object)
    back = values[1:] < values[:-1]
    if back.any():
        place = int(back.argmax()) + 1
        raise ContractError(
            f"line {periods.index[place]}: period {values[place]} comes after {values[place - 1]}: "
            "sort the rows oldest first, each of them once"
        )
