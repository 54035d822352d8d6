"""Reasons why a row of a list is rejected."""

from collections.abc import Sequence

from deposit.data.columns import FEATURES, Category, Number
from deposit.data.tables.formats import few

_SHOWN, _NAMED = 40, 3
_MOST_EMPTY = 5
"""Empty cells to list one by one. A row with more of them, such as a row of totals, is hardly a customer."""


def reason_of(column: Category | Number, text: str) -> str:
    """Describe what is wrong with a cell, and which values are allowed."""
    value = text.strip()
    if not value:
        return f"{column.name} is empty: must be {column.domain}"
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return f"{column.name} must be {column.domain}; got {shown!r}"


_EMPTY = {reason_of(column, ""): column.name for column in FEATURES}


def joined(reasons: Sequence[str]) -> str:
    """Join the reasons of a row; if many of its cells are empty, they are summarised as the first reason."""
    empty = [_EMPTY[reason] for reason in reasons if reason in _EMPTY]
    if len(empty) <= _MOST_EMPTY:
        return "; ".join(reasons)
    others = [reason for reason in reasons if reason not in _EMPTY]
    return "; ".join([f"{len(empty)} columns are empty ({few(empty, _NAMED)})", *others])
