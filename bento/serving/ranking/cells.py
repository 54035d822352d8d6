"""One cell of a list: its value, or what is wrong with it."""

from deposit.data.columns import Category, Number
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
    number = _number(value, decimal_comma)
    if number is None or not column.low <= number <= column.high or (column.integer and not number.is_integer()):
        return _wrong(column, value)
    return number


def _number(text: str, decimal_comma: bool) -> float | None:
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if not text.isascii() or "_" in text:  # Python reads 1_000 and digits of other scripts
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _wrong(column: Category | Number, value: str) -> Wrong:
    if not value:
        return Wrong(f"{column.name} is empty: {allowed(column)}")
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return Wrong(f"{column.name} {allowed(column)}; got {shown!r}")
