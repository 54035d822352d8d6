"""Reasons why a row of a list is rejected."""

from collections.abc import Sequence
from typing import NamedTuple

from deposit.data.columns import Category, Number
from deposit.data.tables.formats import few

_SHOWN, _NAMED = 40, 3
_MOST_EMPTY = 5
"""Empty cells to list one by one. A row with more of them, such as a row of totals, is hardly a customer."""


class RejectionReason(NamedTuple):
    """One reason, in words; `empty` names the column whose cell is empty, if that is the reason."""

    text: str
    empty: str | None = None


def reason_of(column: Category | Number, text: str) -> RejectionReason:
    """Describe what is wrong with a cell, and which values are allowed."""
    value = text.strip()
    if not value:
        return RejectionReason(f"{column.name} is empty: must be {column.domain}", column.name)
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    return RejectionReason(f"{column.name} must be {column.domain}; got {shown!r}")


def joined(reasons: Sequence[RejectionReason]) -> str:
    """Join the reasons of a row; if many of its cells are empty, they are summarised as the first reason."""
    empty = [reason.empty for reason in reasons if reason.empty is not None]
    if len(empty) <= _MOST_EMPTY:
        return "; ".join(reason.text for reason in reasons)
    others = [reason.text for reason in reasons if reason.empty is None]
    return "; ".join([f"{len(empty)} columns are empty ({few(empty, _NAMED)})", *others])
