"""The data contract at the border, generated from the columns' description. Pure.

Raw rows come as strings, indexed by line; good rows leave typed, bad ones with a reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from deposit.data import periods
from deposit.data.columns import FEATURES, LEAKED, MONTHS, NAMES, TARGET, Category, Number
from deposit.errors import ContractError

ANSWERS = ("no", "yes")
REQUIRED = (*NAMES, TARGET)
OPTIONAL = ("id", "period", LEAKED)
_ID = r"[1-9]\d{0,17}"
_SHOWN = 40


@dataclass(frozen=True)
class Checked:
    """Rows split by the contract; both frames are indexed by line.

    `good`: id int64, period str (if the source has it), features, y int8. `rejected`: raw strings and `reason`.
    """

    good: pd.DataFrame
    rejected: pd.DataFrame


def check_columns(names: Sequence[str], where: str) -> None:
    """Raise ContractError, in one line, unless the columns are those of the dataset, in any order."""
    missing = [name for name in REQUIRED if name not in names]
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    unknown = [name for name in names if name not in REQUIRED and name not in OPTIONAL]
    if missing:
        raise ContractError(f"{where}: {_lacking(names, missing)}")
    if repeated:
        raise ContractError(f"{where}: column {', '.join(map(shown, repeated))} is there more than once: keep one")
    if unknown:
        raise ContractError(f"{where}: unknown column {', '.join(map(shown, unknown))}: remove it")


def check_rows(raw: pd.DataFrame) -> Checked:
    """Split raw rows, which hold the required columns and `id`, into good ones and rejected ones with reasons."""
    typed = _typed(raw)
    try:
        schema("period" in raw).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        reasons = _reasons(raw, errors.failure_cases)
        good = ~raw.index.isin(reasons.index)
        rejected = raw.loc[reasons.index].assign(reason=reasons)
        return Checked(_published(typed[good]), rejected)
    return Checked(_published(typed), raw.iloc[:0].assign(reason=""))


def without_repeated(good: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows with each id once, and, as text with `reason`, those whose id is already used by a row above."""
    again = good["id"].duplicated()
    repeated = good[again].astype(object).astype(str)
    return good[~again], repeated.assign(reason=[f"id is '{value}': {allowed('id')}" for value in repeated["id"]])


@lru_cache
def schema(with_period: bool) -> pa.DataFrameSchema:
    """The pandera schema of a typed frame: numbers as float64, all else as text."""
    parts = {column.name: _column(column) for column in FEATURES}
    parts["id"] = pa.Column(checks=pa.Check.str_matches(rf"^{_ID}\Z"))
    parts[TARGET] = pa.Column(checks=pa.Check.isin(ANSWERS))
    if with_period:
        parts["period"] = pa.Column(checks=[pa.Check.str_matches(rf"^{periods.PATTERN}\Z")])
        parts["_agrees"] = pa.Column(bool, checks=pa.Check.eq(True))
    return pa.DataFrameSchema(parts, strict=True)


def allowed(name: str) -> str:
    """What a column may hold, in words."""
    if name == TARGET:
        return f"{' or '.join(ANSWERS)} is allowed"
    if name == "id":
        return "a whole number from 1 on is allowed, each once"
    if name == "period":
        return "a month as YYYY-MM is allowed, the same as in the column `month`"
    column = FEATURES[NAMES.index(name)]
    if isinstance(column, Category):
        return f"one of {', '.join(column.allowed)} is allowed"
    return f"a {'whole ' if column.integer else ''}number from {column.low:g} to {column.high:g} is allowed"


def shown(value: str) -> str:
    """A value as it appears in a message: quoted, on one line, cut when long."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")


def _lacking(names: Sequence[str], missing: list[str]) -> str:
    if set(names) <= {LEAKED, TARGET, "id", "period"} and LEAKED in names:
        return (
            f"the only column is `{LEAKED}`, which is known only after the call and never used; "
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


def _typed(raw: pd.DataFrame) -> pd.DataFrame:
    """Numbers parsed (NaN where they are none); the leaked column goes here."""
    typed = raw.drop(columns=[LEAKED], errors="ignore")
    for column in FEATURES:
        if isinstance(column, Number):
            typed[column.name] = _parsed(raw[column.name])
    if "period" in raw:
        said = _parsed(raw["period"].str[5:])
        typed["_agrees"] = (said == periods.numbers(raw["month"])) | ~raw["month"].isin(MONTHS)
    return typed


def _parsed(texts: pd.Series) -> NDArray[np.float64]:
    """Texts as the nearest float64, each distinct one parsed once; pandas' own parser is off by a last bit at times."""
    codes, distinct = pd.factorize(texts)
    return np.array([_number(text) for text in distinct], dtype=np.float64)[codes]


def _number(text: str) -> float:
    """A plain ASCII number, else NaN; Python alone would take `1_000` and other scripts' digits."""
    if "_" in text or not text.isascii():
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _reasons(raw: pd.DataFrame, cases: pd.DataFrame) -> pd.Series:
    """One reason a line, in the file's order: each wrong column with its value and what is allowed."""
    wrong = cases[["index", "column"]].replace({"column": {"_agrees": "period"}}).drop_duplicates()
    wrong = wrong.sort_values("index", kind="stable")
    lines = raw.index.get_indexer(pd.Index(wrong["index"]))
    places = raw.columns.get_indexer(pd.Index(wrong["column"]))
    values = raw.to_numpy(dtype=object)[lines, places]
    texts = [
        f"{name} is {shown(value) if value else 'empty'}: {allowed(name)}"
        for name, value in zip(wrong["column"], values, strict=True)
    ]
    return pd.Series(texts, index=wrong["index"].astype(np.int64)).groupby(level=0, sort=True).agg("; ".join)


def _published(typed: pd.DataFrame) -> pd.DataFrame:
    """Checked rows with the types and the column order of a dataset."""
    good = pd.DataFrame({"id": typed["id"].astype(np.int64)}, index=typed.index)
    if "period" in typed:
        good["period"] = typed["period"].astype("str")
    for column in FEATURES:
        values = typed[column.name]
        if isinstance(column, Category):
            good[column.name] = pd.Categorical(values, categories=list(column.allowed))
        else:
            good[column.name] = values.astype(np.int64 if column.integer else np.float64)
    good[TARGET] = (typed[TARGET] == "yes").astype(np.int8)
    return good
