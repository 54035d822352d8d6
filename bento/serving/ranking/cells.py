"""One cell of a list: its value, or what is wrong with it."""

from deposit.data.columns import Category, Number
from deposit.data.tables.cells import number
from serving.problems import allowed

_SHOWN = 40


class Wrong(str):
    """What is wrong with a cell, in words."""

    __slots__ = ()


def read_cell(column: Category | Number, text: str, decimal_comma: bool) -> float | str | Wrong:
    """The cell's value; spaces around it and, if allowed, a comma for the decimal point do not matter."""
    value = text.strip()
    if isinstance(column, Category):
        return value if value in column.allowed else _wrong(column, value)
    parsed = number(value, decimal_comma)
    if parsed is None or not column.low <= parsed <= column.high or (column.integer and not parsed.is_integer()):
        return _wrong(column, value)
    return parsed


def _wrong(column: Category | Number, value: str) -> Wrong:
    if not value:
        return Wrong(f"{column.name} is empty: {allowed(column)}")
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return Wrong(f"{column.name} {allowed(column)}; got {shown!r}")
