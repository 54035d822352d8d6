"""In which calendar month each row lies, and whether that can be. Pure.

Rows have a `period` of their own, or a stated first year, or are of the public data set, whose months are known.
"""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from deposit.data import known_months, periods, plausibility
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
    known = known_months.date(rows)
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
