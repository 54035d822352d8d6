"""Alternative spellings: cells that say `September` where the dataset has `sep`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from deposit.data.columns import NAMES, NUMBERS, Category, Number
from deposit.data.tables.cells import bare, grouped, number, signed
from deposit.data.tables.formats import cut, few

OTHERS = "…"
"""Placeholder for all spellings beyond the ones that are listed."""
_MOST_LETTERS, _NAMED = 40, 5
_PLACES = {name: place for place, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Reading:
    """A spelling in a column, the value that it was read as, and the number of cells that have it."""

    column: str
    text: str
    value: str
    cells: int

    def __str__(self) -> str:
        text = "others" if self.text == OTHERS else repr(self.text)
        return f"{self.column} {text} as {self.value} ({self.cells:,})"


def spelled(column: Category | Number, text: str) -> str | None:
    """Return the value that a cell spells in an alternative way; None for any other text."""
    bared = bare(text)
    if isinstance(column, Number):
        normalised = signed(bared)
        parsed = grouped(normalised)
        if parsed is None and bared.endswith(("-", ")")):
            parsed = number(normalised, decimal_comma="," in normalised)
        return None if parsed is None else f"{parsed:.12g}"
    value = column.parse(text, decimal_comma=False)
    return None if value == bared else value


class Readings:
    """Readings of a table of any size, with a bounded number of spellings per column, in order of appearance.

    Args:
        most: spellings to list per column; cells with any further spelling are counted by their value alone.
    """

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._cells: Counter[tuple[str, str, str]] = Counter()
        self._texts: Counter[str] = Counter()

    def add(self, readings: Iterable[Reading]) -> None:
        """Add cells to the counts."""
        for each in readings:
            key = (each.column, cut(each.text, _MOST_LETTERS), each.value)
            if key not in self._cells and (each.text == OTHERS or self._texts[each.column] >= self._most):
                key = (each.column, OTHERS, OTHERS if each.column in NUMBERS else each.value)
            elif key not in self._cells:
                self._texts[each.column] += 1
            self._cells[key] += each.cells

    def listed(self) -> tuple[Reading, ...]:
        """All readings: by column in the dataset's order, then by number of cells, descending."""
        all_ = [Reading(*key, cells) for key, cells in self._cells.items()]
        return tuple(sorted(all_, key=lambda each: (_PLACES[each.column], each.text == OTHERS, -each.cells)))


def spellings(readings: Iterable[Reading]) -> str:
    """Describe readings in one line, most frequent first."""
    most = sorted(readings, key=lambda each: -each.cells)
    return f"read by their spelling: {few([str(each) for each in most], _NAMED)}"
