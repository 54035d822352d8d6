"""Converts a ranked list to a workbook in a separate process: CSV on standard input, .xlsx on standard output.

Command line arguments: a folder for temporary files, the readings (values read by their spelling) and the dialect of
the file, each as JSON or null, and the names of the columns that the service adds, of which the last holds the problem
of a rejected row.
"""

import csv
import io
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import IO

import msgspec

from deposit.data.columns import FEATURES, NAMES
from deposit.data.readings import OTHERS, Reading
from deposit.data.tables.cells import number
from deposit.data.tables.dialect import Dialect
from deposit.data.tables.header import Header, read_header
from deposit.data.tables.workbook import run_conversion
from deposit.errors import ContractError
from serving.worksheet import Column, Workbook

_SECONDS = 900
"""CPU time limit; 100,000 rows of 27 columns take 4 s."""
_PLAIN = re.compile(r"-?(0|[1-9]\d{0,9})(\.\d{0,4}[1-9])?")
"""Text that a spreadsheet would display unchanged if stored as a number; `0049` would not be."""
_FORMATS = {"rank": "0", "probability": "0.0%", "expected_value": "#,##0.00"}
"""Number formats of the numeric columns that the service adds."""
_ID = "id"
_MAX_CELL = 2**24
"""Maximum number of characters of a cell that is read; a sheet's cell holds fewer, and gets the first ones."""
_LINE = re.compile(r"line (\d+): (.*)", re.DOTALL)
_REASON = re.compile(rf"(?:^|; )(?=({'|'.join(map(re.escape, (_ID, *NAMES)))}) (?:must be |is empty|is longer ))")
_NUMBERS = {column.name for column in FEATURES if column.kind is not str}
_REJECTED = ("row", "column", "reason")
_CELLS = Column("cells", lambda text: int(text) if text else "", "#,##0")
_READINGS = [Column("column", str), Column("as written", str), Column("read as", str), _CELLS]
_FILE = "(file)"


def main() -> None:
    """Write the workbook; nothing else is written to standard output."""
    csv.field_size_limit(_MAX_CELL)
    folder, encoded_readings, encoded_dialect, *added = sys.argv[1:]
    readings = msgspec.json.decode(encoded_readings, type=list[Reading] | None)
    dialect = msgspec.json.decode(encoded_dialect, type=Dialect | None)
    header = read_header(sys.stdin.buffer, (*NAMES, _ID))
    width = len(header.names) - len(added)
    if list(header.names[width:]) != added:
        raise ContractError(f"the last columns must be {', '.join(added)}: send a list as /rank returns it")
    columns, problem_columns = _columns(header, width), [Column(name, _value) for name in _REJECTED]
    sheets = {"Ranked": columns[:-1], "Rejected": [*problem_columns, *columns[:width]]}
    if readings is not None:
        sheets["Readings"] = _READINGS
    with closing(Workbook(sheets, folder)) as book, tempfile.TemporaryFile(dir=folder) as target:
        for cells in _reading_rows(readings, dialect):
            book["Readings"].add(cells)
        _fill(book, sys.stdin.buffer, header, width)
        book.save(target)
        target.seek(0)
        shutil.copyfileobj(target, sys.stdout.buffer, 2**20)


def _reading_rows(readings: list[Reading] | None, dialect: Dialect | None) -> Iterator[list[str]]:
    """Yield the rows of the sheet Readings: the dialect, if it is known, and the readings."""
    if readings is not None and dialect is not None:
        for name, value in (("charset", dialect.charset), ("separator", dialect.separator)):
            yield from ([[_FILE, name, value, ""]] if value else ())
        yield [_FILE, "header row", str(dialect.header_line), ""]
    for each in readings or ():
        text = "other spellings" if each.text == OTHERS else each.text
        yield [each.column, text, each.value, str(each.cells)]


def _fill(book: Workbook, source: IO[bytes], header: Header, width: int) -> None:
    """Write the rows of the list to their sheets; the first `width` cells of each row are the sender's own."""
    ranked, rejected = book["Ranked"], book["Rejected"]
    source.seek(header.end)
    for cells in csv.reader(io.TextIOWrapper(source, "utf-8", newline=""), delimiter=header.separator):
        if len(cells) != len(header.names):
            raise ContractError(f"a row has {len(cells)} cells, the header has {len(header.names)}: send it unchanged")
        if not cells[-1]:
            ranked.add(cells[:-1])
            continue
        for problem in _problems(cells[-1]):
            rejected.add([*problem, *cells[:width]])


def _columns(header: Header, width: int) -> list[Column]:
    """Return the sheet columns for all columns of the list."""
    as_number = partial(_number_or_text, decimal_comma=header.decimal_comma)
    own = [
        Column(name, as_number if known in _NUMBERS else _value)
        for name, known in zip(header.names[:width], header.columns, strict=False)
    ]
    return own + [
        Column(name, as_number, _FORMATS[name]) if name in _FORMATS else Column(name, _value)
        for name in header.names[width:]
    ]


def _number_or_text(text: str, decimal_comma: bool) -> str | float:
    """Parse a cell of a numeric column; text that is not a finite number is kept."""
    value = number(text.strip(), decimal_comma)
    return _value(text) if value is None or not math.isfinite(value) else value


def _value(text: str) -> str | float:
    """Return a number if a spreadsheet would display it like the text, otherwise the text."""
    return float(text) if _PLAIN.fullmatch(text) else text


def _problems(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield line number, column and reason of each problem of a row; no column if the row has the wrong shape."""
    line = _LINE.fullmatch(text)
    row, reasons = (line[1], line[2]) if line else ("", text)
    starts = list(_REASON.finditer(reasons))
    if before := reasons[: starts[0].start()] if starts else reasons:
        yield row, "", before
    ends = [*(start.start() for start in starts[1:]), len(reasons)]
    for start, end in zip(starts, ends, strict=False):
        yield row, start[1], reasons[start.end() : end]


if __name__ == "__main__":
    sys.exit(run_conversion(main, _SECONDS))
