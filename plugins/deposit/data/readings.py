"""What was read by its spelling: cells that say `September` where the dataset has `sep`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from deposit.data.columns import NAMES, NUMBERS, Category, Number
from deposit.data.tables.cells import bare, grouped
from deposit.data.tables.formats import cut, few

OTHERS = "…"
"""In place of a text: all spellings of a value beyond those that are named."""
_MOST_LETTERS, _NAMED = 40, 5
_PLACES = {name: place for place, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Reading:
    """Cells of a column that hold a text other than the value that they were read as."""

    column: str
    text: str
    value: str
    cells: int

    def __str__(self) -> str:
        text = "others" if self.text == OTHERS else repr(self.text)
        return f"{self.column} {text} as {self.value} ({self.cells:,})"


def spelled(column: Category | Number, text: str) -> str | None:
    """The value that a cell's text is read as, where it is spelled otherwise; None for any other text."""
    bared = bare(text)
    if isinstance(column, Number):
        number = grouped(bared)
        return None if number is None else f"{number:.12g}"
    value = column.parse(text, decimal_comma=False)
    return None if value == bared else value


class Readings:
    """The readings of a whole table, whatever its size: so many texts of a column are named, in the order they come.

    Args:
        most: texts of a column; beyond, cells are counted by the value alone.
    """

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._cells: Counter[tuple[str, str, str]] = Counter()
        self._texts: Counter[str] = Counter()

    def add(self, readings: Iterable[Reading]) -> None:
        """Count more cells."""
        for each in readings:
            key = (each.column, cut(each.text, _MOST_LETTERS), each.value)
            if key not in self._cells and (each.text == OTHERS or self._texts[each.column] >= self._most):
                key = (each.column, OTHERS, OTHERS if each.column in NUMBERS else each.value)
            elif key not in self._cells:
                self._texts[each.column] += 1
            self._cells[key] += each.cells

    def listed(self) -> tuple[Reading, ...]:
        """By column, in the dataset's order, and then by cells, most first."""
        all_ = [Reading(*key, cells) for key, cells in self._cells.items()]
        return tuple(sorted(all_, key=lambda each: (_PLACES[each.column], each.text == OTHERS, -each.cells)))


def spellings(readings: Iterable[Reading]) -> str:
    """Some readings as one line, those of most cells first."""
    most = sorted(readings, key=lambda each: -each.cells)
    return f"read by their spelling: {few([str(each) for each in most], _NAMED)}"
