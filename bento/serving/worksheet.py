"""Workbooks with large sheets: XlsxWriter writes everything around the rows, and this module writes the rows for speed.

XlsxWriter, which writes cell by cell, takes six times as long. A row is the element `row` of ECMA-376, part 1, section
18.3.1.73, with inline strings, so that no table of shared strings has to be kept.
"""

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from deposit.data.tables.formats import cut
from deposit.errors import ContractError

_MOST_ROWS, _MOST_LETTERS = 2**20, 32_767
"""Excel's limits: rows per sheet, and UTF-16 code units per cell."""
_WIDEST, _MEASURED = 40, 100
_BUFFERED = 1000
_KNOWN = 4096
"""Maximum number of cached cells per column; values often repeat."""
_ROW = "\0"
"""Placeholder for the row number in a cached cell."""
_SPECIAL = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9a-fA-F]{4}_)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_STYLE = re.compile(rb'<c r="[A-Z]+2" s="(\d+)"/>')
_PART = "xl/worksheets/sheet{}.xml"
_LARGE = 2**31
"""Size in bytes from which an archive needs 64-bit sizes, which not every program can read."""


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its title, the conversion of its texts to cell values, and its number format."""

    title: str
    value: Callable[[str], str | float]
    number_format: str = "General"


class Workbook:
    """A workbook whose sheets are kept in temporary files in a folder until it is saved."""

    def __init__(self, sheets: Mapping[str, Sequence[Column]], folder: str) -> None:
        self._sheets = {name: Sheet(name, columns, folder) for name, columns in sheets.items()}
        with self._frame() as frame:
            for number, sheet in enumerate(self._sheets.values(), 1):
                sheet.style(_STYLE.findall(frame.read(_PART.format(number))))

    def __getitem__(self, name: str) -> "Sheet":
        return self._sheets[name]

    def save(self, target: IO[bytes]) -> None:
        """Write the whole workbook; no rows can be added afterwards."""
        sheets = {_PART.format(number): sheet for number, sheet in enumerate(self._sheets.values(), 1)}
        with (
            self._frame() as frame,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for part in frame.infolist():
                content = frame.read(part)
                if part.filename not in sheets:
                    archive.writestr(part, content)
                    continue
                header, end = content.index(b"</row>") + len(b"</row>"), content.index(b"</sheetData>")
                rows = sheets[part.filename].rows()
                with archive.open(part.filename, "w", force_zip64=rows.tell() >= _LARGE) as written:
                    rows.seek(0)
                    written.write(content[:header])
                    shutil.copyfileobj(rows, written, 2**20)
                    written.write(content[end:])

    def close(self) -> None:
        """Close the temporary files of all sheets."""
        for sheet in self._sheets.values():
            sheet.close()

    def _frame(self) -> zipfile.ZipFile:
        """Return the workbook without its rows, except for an empty last row."""
        content = io.BytesIO()
        with xlsxwriter.Workbook(content) as book:
            title = book.add_format({"bold": True, "bottom": 1})
            for sheet in self._sheets.values():
                frame, last = book.add_worksheet(sheet.name), max(sheet.count, 1)
                for place, (column, width) in enumerate(zip(sheet.columns, sheet.widths, strict=True)):
                    frame.write_string(0, place, cut(column.title, _MOST_LETTERS - 1), title)
                    frame.write_blank(last, place, None, book.add_format({"num_format": column.number_format}))
                    frame.set_column(place, place, min(width, _WIDEST))
                frame.freeze_panes(1, 0)
                frame.autofilter(0, 0, sheet.count, len(sheet.columns) - 1)
        return zipfile.ZipFile(content)


class Sheet:
    """One sheet, written row by row, with a frozen header, filters, and column widths that fit the first rows."""

    def __init__(self, name: str, columns: Sequence[Column], folder: str) -> None:
        self.name = name
        self.columns = columns
        self.count = 0
        self.widths = [len(column.title) + 3 for column in columns]
        self._cells: list[_Cells] = []
        self._buffer: list[str] = []
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - until `close`

    def style(self, styles: Sequence[bytes]) -> None:
        """Set the workbook's style number for each column; must be called before the first row."""
        self._cells = [
            _Cells(column, xl_col_to_name(place), style.decode())
            for place, (column, style) in enumerate(zip(self.columns, styles, strict=True))
        ]

    def add(self, texts: Sequence[str]) -> None:
        """Add a row with one text per column. Raises ContractError above Excel's row limit."""
        self.count += 1
        if self.count == _MOST_ROWS:
            raise ContractError(f"the sheet {self.name} has no room for more than {_MOST_ROWS - 1:,} rows: use CSV")
        if self.count <= _MEASURED:
            self.widths = [max(width, len(text)) for width, text in zip(self.widths, texts, strict=True)]
        cells = "".join([cells[text] for cells, text in zip(self._cells, texts, strict=True)])
        self._buffer.append(f'<row r="{_ROW}">{cells}</row>'.replace(_ROW, str(self.count + 1)))
        if len(self._buffer) == _BUFFERED:
            self._flush()

    def rows(self) -> IO[bytes]:
        """Return the file with all rows, positioned at its end."""
        self._flush()
        return self._file

    def close(self) -> None:
        """Close the temporary file."""
        self._file.close()

    def _flush(self) -> None:
        self._file.write("".join(self._buffer).encode())
        self._buffer.clear()


class _Cells(dict[str, str]):
    """Cache of one column's cells (XML) by their text."""

    def __init__(self, column: Column, letters: str, style: str) -> None:
        self._value = column.value
        self._start = f'<c r="{letters}{_ROW}"'
        self._style = style

    def __missing__(self, text: str) -> str:
        value = self._value(text)
        if not isinstance(value, str):
            cell = f'{self._start} s="{self._style}"><v>{repr(value).removesuffix(".0")}</v></c>'
        elif value:
            blanks = "" if value == value.strip() else ' xml:space="preserve"'
            cell = f'{self._start} t="inlineStr"><is><t{blanks}>{_escaped(value)}</t></is></c>'
        else:
            cell = ""
        if len(self) < _KNOWN:
            self[text] = cell
        return cell


def _escaped(text: str) -> str:
    """Escape a text for XML and cut it to a cell's maximum length; `_x000B_` encodes a character that XML forbids."""
    if len(text) > _MOST_LETTERS // 2:
        text = cut(text, _MOST_LETTERS - 1 - sum(letter > "\uffff" for letter in text))
    return _SPECIAL.sub(lambda letter: _ENTITIES.get(letter[0]) or f"_x{ord(letter[0]):04X}_", text)
