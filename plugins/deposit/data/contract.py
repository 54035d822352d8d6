"""The data contract, generated from the column definitions. Pure.

Raw rows are strings, indexed by line; valid rows come out typed, invalid ones with their violations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from deposit.data import periods
from deposit.data.columns import CATEGORIES, FEATURES, LEAKAGE_COLUMN, MONTHS, NAMES, NUMBERS, TARGET
from deposit.data.readings import Reading
from deposit.data.tables.cells import bare, number, plain, with_near, yes_or_no
from deposit.data.tables.dialect import Dialect
from deposit.data.tables.formats import few
from deposit.data.violations import ANSWERS, RowRule, RowViolation, WrongCell, quote
from deposit.errors import ContractError

REQUIRED = (*NAMES, TARGET)
DATED = ("period", "date")
"""Columns with which a source can date its rows itself."""
OPTIONAL = ("id", *DATED, LEAKAGE_COLUMN)
ALIASES = {"deposit": TARGET, "subscribed": TARGET}
_ID = r"(?:0|[1-9]\d{0,17})"
_NAMED, _QUOTED = 5, 2
_DTYPES: dict[str, Any] = {
    **{name: pd.CategoricalDtype(list(column.allowed)) for name, column in CATEGORIES.items()},
    **{name: np.dtype(column.kind) for name, column in NUMBERS.items()},
}


@dataclass(frozen=True)
class ValidationResult:
    """Rows split by the contract; both frames are indexed by line.

    Args:
        good: valid rows: id int64, period str (if the source has it), features, y int8.
        rejected: invalid rows, as raw strings.
        violations: violations of the rejected rows, by line and then by column.
        readings: alternative spellings in the valid rows, with the values they were read as.
        dialect: charset, separator and header line of the file; None if the rows are not from a file.
    """

    good: pd.DataFrame
    rejected: pd.DataFrame
    violations: Sequence[RowViolation]
    readings: Sequence[Reading] = ()
    dialect: Dialect | None = None


def check_columns(names: Sequence[str]) -> None:
    """Raise ContractError, with a one-line message, unless the columns are those of the dataset, in any order."""
    names = [name for name in names if plain(name)]  # columns without a name are ignored
    missing = [name for name in REQUIRED if name not in names]
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    unknown = [name for name in names if name not in REQUIRED and name not in OPTIONAL]
    if missing:
        raise ContractError(_missing_message(names, missing), _details(missing, _NAMED))
    if repeated:
        raise ContractError(
            f"column {few([quote(name) for name in repeated], _QUOTED)} occurs more than once: keep one",
            _details(repeated, _QUOTED),
        )
    if unknown:
        raise ContractError(
            f"unknown column {few([quote(name) for name in unknown], _QUOTED)}: remove it", _details(unknown, _QUOTED)
        )


def validate_rows(raw: pd.DataFrame, decimal_comma: bool = False) -> ValidationResult:
    """Split raw rows with the required columns and `id` into valid rows and rejected rows with their violations.

    With `decimal_comma`, `4,5` is a number.
    """
    typed = _typed(raw, decimal_comma)
    try:
        schema(tuple(name for name in DATED if name in raw)).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        violations = _violations(raw, errors.failure_cases)
        bad = raw.index.isin([violation.line for violation in violations])
        return ValidationResult(_to_dataset(typed[~bad]), raw[bad], violations)
    return ValidationResult(_to_dataset(typed), raw.iloc[:0], [])


def deduplicate(good: pd.DataFrame) -> ValidationResult:
    """Keep the first row of each id; reject the rows that repeat an id, as text."""
    again = good["id"].duplicated()
    repeated = good[again].astype(object).astype(str)
    pairs = zip(repeated.index.tolist(), repeated["id"], strict=True)
    return ValidationResult(
        good[~again], repeated, [WrongCell(line, RowRule.UNIQUE, "id", value) for line, value in pairs]
    )


@lru_cache
def schema(dated: tuple[str, ...]) -> pa.DataFrameSchema:
    """Pandera schema of a typed frame with the columns `dated` of `DATED`: numbers are float64, the rest is text."""
    parts = {column.name: column.pandera_column() for column in FEATURES}
    parts["id"] = pa.Column(checks=pa.Check.str_matches(rf"^{_ID}\Z"))
    parts[TARGET] = pa.Column(checks=pa.Check.isin(ANSWERS))
    for name in dated:
        parts[name] = pa.Column(checks=[pa.Check.str_matches(rf"^{periods.PATTERN}\Z")])
        parts[_agrees(name)] = pa.Column(bool, checks=pa.Check.eq(True))
    return pa.DataFrameSchema(parts, strict=True)


def _details(names: list[str], most: int) -> list[str]:
    """All names, if the one-line message has to leave some out."""
    return names if len(names) > most else []


def _missing_message(names: Sequence[str], missing: list[str]) -> str:
    if set(names) <= {LEAKAGE_COLUMN, TARGET, "id", "period"} and LEAKAGE_COLUMN in names:
        return (
            f"the only column is `{LEAKAGE_COLUMN}`, which is known only after the call and never used; "
            f"missing {few(missing, _NAMED)}"
        )
    share = f" (it has {len(names)} of {len(REQUIRED)})" if len(names) < len(REQUIRED) else ""
    lacking = few(with_near(missing, [name for name in names if name not in (*REQUIRED, *OPTIONAL)]), _NAMED)
    return f"missing column {lacking}{share}: add what is missing, named as in data/README.md"


def _typed(raw: pd.DataFrame, decimal_comma: bool) -> pd.DataFrame:
    """Parse numbers (NaN if a cell holds none), strip texts, and drop the leakage column."""
    typed = raw.drop(columns=[LEAKAGE_COLUMN], errors="ignore")
    for column in FEATURES:
        kind = np.float64 if column.name in NUMBERS else object
        typed[column.name] = _parse_distinct(raw[column.name], partial(column.parse, decimal_comma=decimal_comma), kind)
    typed["id"] = _parse_distinct(raw["id"], bare)
    typed[TARGET] = _parse_distinct(raw[TARGET], _answer)
    for name in (name for name in DATED if name in raw):
        typed[name] = _parse_distinct(raw[name], _PERIOD_OF[name])
        month = _parse_distinct(typed[name].str[5:], partial(number, decimal_comma=False), np.float64)
        typed[_agrees(name)] = (month == periods.numbers(typed["month"])) | ~typed["month"].isin(MONTHS)
    if all(name in raw for name in DATED):
        typed[_agrees("date")] &= typed["date"] == typed["period"]
    return typed


def _parse_distinct(texts: pd.Series, parse: Callable[[str], Any], kind: type = object) -> pd.Series:
    """Parse texts, each distinct one only once."""
    codes, distinct = pd.factorize(texts)
    values: NDArray[Any] = np.empty(len(distinct), dtype=kind)
    values[:] = [parse(text) for text in distinct]
    return pd.Series(values[codes], index=texts.index)


def _answer(text: str) -> str:
    answer = yes_or_no(text)
    return bare(text) if answer is None else ANSWERS[answer]


def _month_of(date: str) -> str:
    """The month (YYYY-MM) of a date, with or without a time; other text is returned unchanged."""
    try:
        return datetime.fromisoformat(date.strip()).strftime("%Y-%m")
    except ValueError:
        return date


_PERIOD_OF: dict[str, Callable[[str], str]] = {"period": bare, "date": _month_of}


def _agrees(name: str) -> str:
    """Name of the typed frame's column that holds whether a row's own date agrees with its other columns."""
    return f"_{name}_agrees"


def _violations(raw: pd.DataFrame, cases: pd.DataFrame) -> list[RowViolation]:
    """One violation per invalid row and column, in file order."""
    rules = {_agrees(name): (RowRule.MONTH, name) for name in DATED}
    wrong = cases[["index", "column"]].drop_duplicates().sort_values("index", kind="stable")
    cells: dict[tuple[int, str], RowViolation] = {}
    lines = wrong["index"].astype(np.int64)
    rows = raw.loc[lines.unique()].to_dict("index")
    for line, name in zip(lines.tolist(), wrong["column"], strict=True):
        rule, column = rules.get(name, (RowRule.DOMAIN, name))
        cells.setdefault((line, column), WrongCell(line, rule, column, str(rows[line][column])))
    return list(cells.values())


def _to_dataset(typed: pd.DataFrame) -> pd.DataFrame:
    """Convert valid rows to the types and the column order of a dataset."""
    good = pd.DataFrame({"id": typed["id"].astype(np.int64)}, index=typed.index)
    dated = next((name for name in DATED if name in typed), None)
    if dated:
        good["period"] = typed[dated].astype("str")
    good = good.join(typed[list(NAMES)].astype(_DTYPES))
    good[TARGET] = (typed[TARGET] == "yes").astype(np.int8)
    return good
