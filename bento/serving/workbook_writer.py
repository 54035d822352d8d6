"""A ranked list as a workbook: the CSV answer on standard input, an .xlsx on standard output; a process of its own.

Its arguments are a folder for temporary files (a sheet is written row by row, and packed when it is whole) and the
names of the columns that the service adds, of which the last is the problem of a rejected row.
"""

import csv
import io
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import IO, Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from deposit.data.columns import FEATURES, NAMES
from deposit.data.tables.cells import number
from deposit.data.tables.formats import cut
from deposit.data.tables.header import read_header
from deposit.data.tables.workbook import run_conversion
from deposit.errors import ContractError

_SECONDS = 900
"""Of the processor; 100,000 rows of 27 columns take 20."""
_MOST_ROWS, _MOST_LETTERS = 2**20, 32_767
"""Rows, and letters in a cell, that Excel opens."""
_PLAIN = re.compile(r"-?(0|[1-9]\d{0,9})(\.\d{0,4}[1-9])?")
"""Text that a spreadsheet shows again as it stands if it is a number there: `0049` is none."""
_WIDEST, _MEASURED = 40, 100
_FORMATS = {"rank": "0", "probability": "0.0%", "expected_value": "#,##0.00"}
"""Of those columns that the service adds which hold numbers."""
_ID = "id"
_LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)
_REASON = re.compile(rf"(?:^|; )(?=({'|'.join(map(re.escape, (_ID, *NAMES)))}) (?:must be |is empty|is longer ))")
_NUMBERS = {column.name for column in FEATURES if column.kind is not str}
_REJECTED = ("row", "column", "reason")
Cell = str | float


def main() -> None:
    """Write the workbook; nothing else is written to standard output."""
    folder, *added = sys.argv[1:]
    with tempfile.TemporaryFile(dir=folder) as target:
        book = xlsxwriter.Workbook(target, {"constant_memory": True, "tmpdir": folder})
        _write(sys.stdin.buffer, book, tuple(added))
        book.close()
        target.seek(0)
        shutil.copyfileobj(target, sys.stdout.buffer, 2**20)


def _write(source: IO[bytes], book: Any, added: tuple[str, ...]) -> None:
    header = read_header(source, (*NAMES, _ID))
    own = header.names[: -len(added)]
    if header.names[len(own) :] != added:
        raise ContractError(f"the last columns must be {', '.join(added)}: send a list as /rank answers it")
    source.seek(header.end)
    rows = csv.reader(io.TextIOWrapper(source, "utf-8", newline=""), delimiter=header.separator)
    ranked = _Sheet(book, "Ranked", own, added[:-1])
    rejected = _Sheet(book, "Rejected", (*_REJECTED, *own))
    numbers = [column in _NUMBERS for column in header.columns[: len(own)]] + [name in _FORMATS for name in added]
    for cells in rows:
        if len(cells) != len(header.names):
            raise ContractError(f"a row has {len(cells)} cells, the header has {len(header.names)}: send it unchanged")
        values = [_value(cell, is_number, header.decimal_comma) for cell, is_number in zip(cells, numbers, strict=True)]
        if not cells[-1]:
            ranked.add(values[:-1])
            continue
        for problem in _problems(cells[-1]):
            rejected.add([*problem, *values[: len(own)]])
    ranked.finish()
    rejected.finish()


class _Sheet:
    """One sheet, written row by row: header frozen, columns to filter by, as wide as their first rows need."""

    def __init__(self, book: Any, name: str, own: Sequence[str], added: Sequence[str] = ()) -> None:
        self._name = name
        self._sheet: Worksheet = book.add_worksheet(name)
        formats = {name: book.add_format({"num_format": text}) for name, text in _FORMATS.items()}
        self._formats = [None] * len(own) + [formats.get(name) for name in added]
        self._widths = [len(name) + 3 for name in (*own, *added)]
        self._rows = 0
        bold = book.add_format({"bold": True, "bottom": 1})
        for place, title in enumerate((*own, *added)):
            self._sheet.write_string(0, place, cut(title, _MOST_LETTERS - 1), bold)

    def add(self, cells: Sequence[Cell]) -> None:
        """The next row. Raises ContractError where Excel takes no more."""
        self._rows += 1
        if self._rows == _MOST_ROWS:
            raise ContractError(f"the sheet {self._name} has no room for more than {_MOST_ROWS - 1:,} rows: use CSV")
        for place, cell in enumerate(cells):
            if not isinstance(cell, str):
                self._sheet.write_number(self._rows, place, cell, self._formats[place])
            elif cell:
                self._sheet.write_string(self._rows, place, cell)
        if self._rows <= _MEASURED:
            self._widths = [max(width, len(str(cell))) for width, cell in zip(self._widths, cells, strict=True)]

    def finish(self) -> None:
        """All rows are there."""
        self._sheet.freeze_panes(1, 0)
        self._sheet.autofilter(0, 0, self._rows, len(self._widths) - 1)
        for place, width in enumerate(self._widths):
            self._sheet.set_column(place, place, min(width, _WIDEST))


@lru_cache(2**16)
def _value(text: str, is_number: bool, decimal_comma: bool) -> Cell:
    """A number in a column of numbers, and where a spreadsheet shows it as the text stands; else the text."""
    value = number(text.strip(), decimal_comma) if is_number else None
    if value is not None and math.isfinite(value):
        return value
    return float(text) if _PLAIN.fullmatch(text) else cut(text, _MOST_LETTERS - 1)


def _problems(text: str) -> Iterator[tuple[Cell, str, str]]:
    """Row of the list, column and reason of each thing that is wrong with a row; no column where the row's shape is."""
    line = _LINE.fullmatch(text)
    row, reasons = (float(line[1]), line[2]) if line else ("", text)
    starts = list(_REASON.finditer(reasons))
    if not starts:
        yield row, "", cut(reasons, _MOST_LETTERS - 1)
    ends = [*(start.start() for start in starts[1:]), len(reasons)]
    for start, end in zip(starts, ends, strict=False):
        yield row, start[1], reasons[start.end() : end]


if __name__ == "__main__":
    sys.exit(run_conversion(main, _SECONDS))
