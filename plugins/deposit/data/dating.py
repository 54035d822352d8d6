"""In which calendar month each row lies, and whether that can be. Pure.

Rows have a `period` of their own, or a stated first year, or are of the public data set, whose months are known.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.data import periods, plausibility
from deposit.data.violations import Violation, refusal
from deposit.errors import ContractError
from deposit.sections import IngestSettings, Rule

_LAST_YEAR = 2999
"""Of a period's pattern."""


@dataclass(frozen=True)
class Dated:
    """Rows with `period`, in time order, and what was accepted of them by its rule's name."""

    rows: pd.DataFrame
    accepted: tuple[Violation, ...]


def date_rows(rows: pd.DataFrame, settings: IngestSettings, today: date) -> Dated:
    """Checked rows, indexed by line, with their periods.

    Raises ContractError if the year is not known, the rows are not in time order, or a check fails and is not accepted.
    """
    dated = rows.assign(period=_periods(rows, settings, today))
    violations = plausibility.violations(dated, settings.macro_tolerance, today)
    refused = [violation for violation in violations if violation.rule not in settings.accept]
    if refused:
        raise ContractError(refusal(refused))
    return Dated(dated, violations)


def _periods(rows: pd.DataFrame, settings: IngestSettings, today: date) -> pd.Series:
    if "period" in rows:
        found = rows["period"]
    elif settings.first_year is not None:
        last = _LAST_YEAR if Rule.FUTURE in settings.accept else max(today.year, settings.first_year)
        return periods.assign(rows["month"], settings.first_year, last)
    else:
        found = _known(rows)
    periods.check_order(found)
    return found


def _known(rows: pd.DataFrame) -> pd.Series:
    known = assign_months(rows)
    if known.isna().any():
        line = known.index[int(known.isna().to_numpy().argmax())]
        price, confidence, month = rows.loc[line, ["cons.price.idx", "cons.conf.idx", "month"]]
        raise ContractError(
            f"the year of the rows is not known: add a column `period` (YYYY-MM) or `date` (YYYY-MM-DD), or state the "
            f"first row's year (--first-year, DEPOSIT_INGEST__FIRST_YEAR, `first_year` in the DAG's form). Only the "
            f"public data set needs neither, and line {line} is not of it: no {month} there has a price index of "
            f"{price:g} and a confidence index of {confidence:g}"
        )
    return known


MONTHS: tuple[tuple[str, float, float], ...] = (
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
"""Period (YYYY-MM), consumer price index, consumer confidence index; oldest first."""


def look_up(rows: pd.DataFrame) -> pd.Series:
    """The period of each row's `cons.price.idx` and `cons.conf.idx`; missing where the data set has no such month."""
    keys = _keys(rows["cons.price.idx"].to_numpy(np.float64), rows["cons.conf.idx"].to_numpy(np.float64))
    places = pd.Index(_KEYS).get_indexer(pd.Index(keys))
    return pd.Series(np.append(_PERIODS, [None])[places], index=rows.index, name="period", dtype="str")


def assign_months(rows: pd.DataFrame) -> pd.Series:
    """As `look_up`, and missing, too, where the row's `month` is another one."""
    known = look_up(rows)
    return known.where(known.map(_NUMBERS) == periods.numbers(rows["month"]))


def _keys(price: NDArray[np.float64], confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """One number a pair, to the digits that the data set has: a copy may hold 93.99400000000001."""
    return np.rint(price * 1000).astype(np.int64) * 100_000 + np.rint(confidence * 10).astype(np.int64)


_PERIODS = np.array([period for period, _, _ in MONTHS], dtype=object)
_KEYS = _keys(np.array([price for _, price, _ in MONTHS]), np.array([confidence for _, _, confidence in MONTHS]))
_NUMBERS = {period: periods.ordinal(period) % 12 + 1 for period, _, _ in MONTHS}
