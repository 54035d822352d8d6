"""The data contract at the border, generated from the columns' description. Pure.

Raw rows come as strings, indexed by line; good rows leave typed, bad ones with a reason.
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
from deposit.data.tables.formats import few
from deposit.data.violations import ANSWERS, RowRule, RowViolation, WrongCell, quote
from deposit.errors import ContractError

REQUIRED = (*NAMES, TARGET)
DATED = ("period", "date")
"""Columns by which a source dates its rows itself."""
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

    `good`: id int64, period str (if the source has it), features, y int8. `rejected`: raw strings. `violations` are
    those of the rejected rows, by line and then by column. `readings`: what of the good rows was read by its spelling.
    """

    good: pd.DataFrame
    rejected: pd.DataFrame
    violations: Sequence[RowViolation]
    readings: Sequence[Reading] = ()


def check_columns(names: Sequence[str]) -> None:
    """Raise ContractError, in one line, unless the columns are those of the dataset, in any order."""
    names = [name for name in names if plain(name)]  # what nobody named is not read
    missing = [name for name in REQUIRED if name not in names]
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    unknown = [name for name in names if name not in REQUIRED and name not in OPTIONAL]
    if missing:
        raise ContractError(_lacking(names, missing), _beyond(missing, _NAMED))
    if repeated:
        raise ContractError(
            f"column {few([quote(name) for name in repeated], _QUOTED)} is there more than once: keep one",
            _beyond(repeated, _QUOTED),
        )
    if unknown:
        raise ContractError(
            f"unknown column {few([quote(name) for name in unknown], _QUOTED)}: remove it", _beyond(unknown, _QUOTED)
        )


def validate_rows(raw: pd.DataFrame, decimal_comma: bool = False) -> ValidationResult:
    """Split raw rows, which hold the required columns and `id`, into good ones and rejected ones with violations.

    With `decimal_comma`, `4,5` is a number.
    """
    typed = _typed(raw, decimal_comma)
    try:
        schema(tuple(name for name in DATED if name in raw)).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        violations = _violations(raw, errors.failure_cases)
        bad = raw.index.isin([violation.line for violation in violations])
        return ValidationResult(_published(typed[~bad]), raw[bad], violations)
    return ValidationResult(_published(typed), raw.iloc[:0], [])


def deduplicate(good: pd.DataFrame) -> ValidationResult:
    """Rows with each id once; those whose id is already used by a row above are rejected, as text."""
    again = good["id"].duplicated()
    repeated = good[again].astype(object).astype(str)
    pairs = zip(repeated.index.tolist(), repeated["id"], strict=True)
    return ValidationResult(
        good[~again], repeated, [WrongCell(line, RowRule.UNIQUE, "id", value) for line, value in pairs]
    )


@lru_cache
def schema(dated: tuple[str, ...]) -> pa.DataFrameSchema:
    """The pandera schema of a typed frame with these of `DATED`: numbers as float64, all else as text."""
    parts = {column.name: column.pandera_column() for column in FEATURES}
    parts["id"] = pa.Column(checks=pa.Check.str_matches(rf"^{_ID}\Z"))
    parts[TARGET] = pa.Column(checks=pa.Check.isin(ANSWERS))
    for name in dated:
        parts[name] = pa.Column(checks=[pa.Check.str_matches(rf"^{periods.PATTERN}\Z")])
        parts[_agrees(name)] = pa.Column(bool, checks=pa.Check.eq(True))
    return pa.DataFrameSchema(parts, strict=True)


def _beyond(names: list[str], most: int) -> list[str]:
    """All names, where a sentence does not hold them."""
    return names if len(names) > most else []


def _lacking(names: Sequence[str], missing: list[str]) -> str:
    if set(names) <= {LEAKAGE_COLUMN, TARGET, "id", "period"} and LEAKAGE_COLUMN in names:
        return (
            f"the only column is `{LEAKAGE_COLUMN}`, which is known only after the call and never used; "
            f"missing {few(missing, _NAMED)}"
        )
    share = f" (it has {len(names)} of {len(REQUIRED)})" if len(names) < len(REQUIRED) else ""
    lacking = few(with_near(missing, [name for name in names if name not in (*REQUIRED, *OPTIONAL)]), _NAMED)
    return f"missing column {lacking}{share}: add what is missing, with the names of data/README.md"


def _typed(raw: pd.DataFrame, decimal_comma: bool) -> pd.DataFrame:
    """Numbers parsed (NaN where they are none), texts without blanks around them; the leaked column goes here."""
    typed = raw.drop(columns=[LEAKAGE_COLUMN], errors="ignore")
    for column in FEATURES:
        kind = np.float64 if column.name in NUMBERS else object
        typed[column.name] = _each(raw[column.name], partial(column.parse, decimal_comma=decimal_comma), kind)
    typed["id"] = _each(raw["id"], bare)
    typed[TARGET] = _each(raw[TARGET], _answer)
    for name in (name for name in DATED if name in raw):
        typed[name] = _each(raw[name], _PERIOD_OF[name])
        month = _each(typed[name].str[5:], partial(number, decimal_comma=False), np.float64)
        typed[_agrees(name)] = (month == periods.numbers(typed["month"])) | ~typed["month"].isin(MONTHS)
    if all(name in raw for name in DATED):
        typed[_agrees("date")] &= typed["date"] == typed["period"]
    return typed


def _each(texts: pd.Series, parse: Callable[[str], Any], kind: type = object) -> pd.Series:
    """Texts parsed, each distinct one once."""
    codes, distinct = pd.factorize(texts)
    values: NDArray[Any] = np.empty(len(distinct), dtype=kind)
    values[:] = [parse(text) for text in distinct]
    return pd.Series(values[codes], index=texts.index)


def _answer(text: str) -> str:
    answer = yes_or_no(text)
    return bare(text) if answer is None else ANSWERS[answer]


def _month_of(date: str) -> str:
    """The month of a date, with or without a time of day; what is none stays as it is."""
    try:
        return datetime.fromisoformat(date.strip()).strftime("%Y-%m")
    except ValueError:
        return date


_PERIOD_OF: dict[str, Callable[[str], str]] = {"period": bare, "date": _month_of}


def _agrees(name: str) -> str:
    """The column of a typed frame that says whether a row's own date agrees with its other columns."""
    return f"_{name}_agrees"


def _violations(raw: pd.DataFrame, cases: pd.DataFrame) -> list[RowViolation]:
    """Of each row in the file's order, and of each wrong column once."""
    rules = {_agrees(name): (RowRule.MONTH, name) for name in DATED}
    wrong = cases[["index", "column"]].drop_duplicates().sort_values("index", kind="stable")
    cells: dict[tuple[int, str], RowViolation] = {}
    lines = wrong["index"].astype(np.int64)
    rows = raw.loc[lines.unique()].to_dict("index")
    for line, name in zip(lines.tolist(), wrong["column"], strict=True):
        rule, column = rules.get(name, (RowRule.DOMAIN, name))
        cells.setdefault((line, column), WrongCell(line, rule, column, str(rows[line][column])))
    return list(cells.values())


def _published(typed: pd.DataFrame) -> pd.DataFrame:
    """Checked rows with the types and the column order of a dataset."""
    good = pd.DataFrame({"id": typed["id"].astype(np.int64)}, index=typed.index)
    dated = next((name for name in DATED if name in typed), None)
    if dated:
        good["period"] = typed[dated].astype("str")
    good = good.join(typed[list(NAMES)].astype(_DTYPES))
    good[TARGET] = (typed[TARGET] == "yes").astype(np.int8)
    return good
