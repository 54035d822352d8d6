"""The data contract at the border, generated from the columns' description. Pure.

Raw rows come as strings, indexed by line; good rows leave typed, bad ones with a reason.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from deposit.data import periods
from deposit.data.columns import FEATURES, LEAKAGE_COLUMN, MONTHS, NAMES, TARGET, Category, Number
from deposit.data.tables.cells import number, yes_or_no
from deposit.data.tables.formats import cut, few
from deposit.errors import ContractError

ANSWERS = ("no", "yes")
REQUIRED = (*NAMES, TARGET)
DATED = ("period", "date")
"""Columns by which a source dates its rows itself."""
OPTIONAL = ("id", *DATED, LEAKAGE_COLUMN)
ALIASES = {"deposit": TARGET, "subscribed": TARGET}
_ID = r"(?:0|[1-9]\d{0,17})"
_SHOWN = 40
_NAMED = 10


@dataclass(frozen=True)
class ValidationResult:
    """Rows split by the contract; both frames are indexed by line.

    `good`: id int64, period str (if the source has it), features, y int8. `rejected`: raw strings and `reason`.
    """

    good: pd.DataFrame
    rejected: pd.DataFrame


def check_columns(names: Sequence[str]) -> None:
    """Raise ContractError, in one line, unless the columns are those of the dataset, in any order."""
    missing = [name for name in REQUIRED if name not in names]
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    unknown = [name for name in names if name not in REQUIRED and name not in OPTIONAL]
    if missing:
        raise ContractError(_lacking(names, missing))
    if repeated:
        raise ContractError(
            f"column {few([quote(name) for name in repeated], _NAMED)} is there more than once: keep one"
        )
    if unknown:
        raise ContractError(f"unknown column {few([quote(name) for name in unknown], _NAMED)}: remove it")


def validate_rows(raw: pd.DataFrame, decimal_comma: bool = False) -> ValidationResult:
    """Split raw rows, which hold the required columns and `id`, into good ones and rejected ones with reasons.

    With `decimal_comma`, `4,5` is a number.
    """
    typed = _typed(raw, decimal_comma)
    try:
        schema(tuple(name for name in DATED if name in raw)).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        reasons = _reasons(raw, errors.failure_cases)
        good = ~raw.index.isin(reasons.index)
        rejected = raw.loc[reasons.index].assign(reason=reasons)
        return ValidationResult(_published(typed[good]), rejected)
    return ValidationResult(_published(typed), raw.iloc[:0].assign(reason=""))


def deduplicate(good: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with each id once, and, as text with `reason`, those whose id is already used by a row above."""
    again = good["id"].duplicated()
    repeated = good[again].astype(object).astype(str)
    return good[~again], repeated.assign(
        reason=[f"id is '{value}': {describe_domain('id')}" for value in repeated["id"]]
    )


@lru_cache
def schema(dated: tuple[str, ...]) -> pa.DataFrameSchema:
    """The pandera schema of a typed frame with these of `DATED`: numbers as float64, all else as text."""
    parts = {column.name: _column(column) for column in FEATURES}
    parts["id"] = pa.Column(checks=pa.Check.str_matches(rf"^{_ID}\Z"))
    parts[TARGET] = pa.Column(checks=pa.Check.isin(ANSWERS))
    for name in dated:
        parts[name] = pa.Column(checks=[pa.Check.str_matches(rf"^{periods.PATTERN}\Z")])
        parts[_agrees(name)] = pa.Column(bool, checks=pa.Check.eq(True))
    return pa.DataFrameSchema(parts, strict=True)


def describe_domain(name: str) -> str:
    """What a column may hold, in words."""
    if name == TARGET:
        return f"{' or '.join(ANSWERS)}, or 1 or 0, is allowed"
    if name == "id":
        return "a whole number from 0 on is allowed, each once"
    if name == "date":
        return "a date as YYYY-MM-DD is allowed, in the month of the columns `month` and, if there is one, `period`"
    if name == "period":
        return "a month as YYYY-MM is allowed, the same as in the column `month`"
    column = FEATURES[NAMES.index(name)]
    if isinstance(column, Category):
        return f"one of {', '.join(column.allowed)} is allowed"
    return f"a {'whole ' if column.integer else ''}number from {column.low:g} to {column.high:g} is allowed"


def quote(value: str) -> str:
    """A value as it appears in a message: quoted, on one line, cut when long."""
    return repr(cut(value, _SHOWN))


def _lacking(names: Sequence[str], missing: list[str]) -> str:
    if set(names) <= {LEAKAGE_COLUMN, TARGET, "id", "period"} and LEAKAGE_COLUMN in names:
        return (
            f"the only column is `{LEAKAGE_COLUMN}`, which is known only after the call and never used; "
            f"missing {', '.join(missing)}"
        )
    few = f" (it has {len(names)} of {len(REQUIRED)})" if len(names) < len(REQUIRED) else ""
    return f"missing column {', '.join(missing)}{few}: add what is missing, with the names of data/README.md"


def _column(column: Category | Number) -> pa.Column:
    if isinstance(column, Category):
        return pa.Column(checks=pa.Check.isin(column.allowed))
    checks = [pa.Check.in_range(column.low, column.high)]
    if column.integer:
        checks.append(pa.Check(_is_whole, name="whole"))
    return pa.Column(np.float64, checks=checks)


def _is_whole(values: pd.Series) -> pd.Series:
    return values % 1 == 0


def _typed(raw: pd.DataFrame, decimal_comma: bool) -> pd.DataFrame:
    """Numbers parsed (NaN where they are none), texts without blanks around them; the leaked column goes here."""
    typed = raw.drop(columns=[LEAKAGE_COLUMN], errors="ignore")
    for column in FEATURES:
        typed[column.name] = (
            _each(raw[column.name], lambda text: _number(text, decimal_comma), np.float64)
            if isinstance(column, Number)
            else _each(raw[column.name], str.strip)
        )
    typed["id"] = _each(raw["id"], str.strip)
    typed[TARGET] = _each(raw[TARGET], _answer)
    for name in (name for name in DATED if name in raw):
        typed[name] = _each(raw[name], _PERIOD_OF[name])
        month = _each(typed[name].str[5:], lambda text: _number(text, False), np.float64)
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


def _number(text: str, decimal_comma: bool) -> float:
    """The nearest float64, else NaN; pandas' own parser is off by a last bit at times."""
    value = number(text, decimal_comma)
    return math.nan if value is None else value


def _answer(text: str) -> str:
    answer = yes_or_no(text)
    return text if answer is None else ANSWERS[answer]


def _month_of(date: str) -> str:
    """The month of a date, with or without a time of day; what is none stays as it is."""
    try:
        return datetime.fromisoformat(date.strip()).strftime("%Y-%m")
    except ValueError:
        return date


_PERIOD_OF: dict[str, Callable[[str], str]] = {"period": str.strip, "date": _month_of}


def _agrees(name: str) -> str:
    """The column of a typed frame that says whether a row's own date agrees with its other columns."""
    return f"_{name}_agrees"


def _reasons(raw: pd.DataFrame, cases: pd.DataFrame) -> pd.Series:
    """One reason a line, in the file's order: each wrong column with its value and what is allowed."""
    wrong = cases[["index", "column"]].replace({"column": {_agrees(name): name for name in DATED}}).drop_duplicates()
    wrong = wrong.sort_values("index", kind="stable")
    lines = raw.index.get_indexer(pd.Index(wrong["index"]))
    places = raw.columns.get_indexer(pd.Index(wrong["column"]))
    values = raw.to_numpy(dtype=object)[lines, places]
    texts = [
        f"{name} is {quote(value) if value else 'empty'}: {describe_domain(name)}"
        for name, value in zip(wrong["column"], values, strict=True)
    ]
    return pd.Series(texts, index=wrong["index"].astype(np.int64)).groupby(level=0, sort=True).agg("; ".join)


def _published(typed: pd.DataFrame) -> pd.DataFrame:
    """Checked rows with the types and the column order of a dataset."""
    good = pd.DataFrame({"id": typed["id"].astype(np.int64)}, index=typed.index)
    dated = next((name for name in DATED if name in typed), None)
    if dated:
        good["period"] = typed[dated].astype("str")
    for column in FEATURES:
        values = typed[column.name]
        if isinstance(column, Category):
            good[column.name] = pd.Categorical(values, categories=list(column.allowed))
        else:
            good[column.name] = values.astype(np.int64 if column.integer else np.float64)
    good[TARGET] = (typed[TARGET] == "yes").astype(np.int8)
    return good
