"""Convert the first visible sheet of a workbook that is not empty to CSV, in a separate process.

`workbook` starts the process, with both files on standard input and output. A workbook may decompress to a thousand
times its size, repeat one long text in every cell, or have a cell in its last row and column, for which the reader
allocates the whole grid. Its limits then end this process alone. Line n of the CSV is row n of the sheet, so line
ends in cells become blanks.
"""

import csv
import io
import posixpath
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import IO, Any
from xml.etree import ElementTree

from python_calamine import CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from deposit.data.tables.formats import cut
from deposit.data.tables.workbook import MEMORY, run_conversion
from deposit.errors import SourceError

SECONDS = 60
"""Limit of CPU time in seconds; 100,000 rows of 20 columns take 4."""
SEPARATOR = ";"
_CHUNK, _OVERLAP = 4 * 2**20, 2**16
_NAMED = 40
_MOST_EXACT = 2**53
_BREAKS = re.compile("\r\n|[\r\n\0]")


def main() -> None:
    """Convert the workbook on standard input; standard output gets nothing but the CSV."""
    text = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
    _write(sys.stdin.buffer, text)
    text.flush()


def _write(file: IO[bytes], text: IO[str]) -> None:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        if sum(part.file_size for part in archive.infolist()) > MEMORY:
            raise MemoryError
    file.seek(0)
    try:
        workbook = CalamineWorkbook.from_filelike(file)
    except PasswordError as error:
        raise SourceError("the workbook has a password: open it, remove the password and save it again") from error
    sheets = workbook.sheets_metadata
    visible = (SheetVisibleEnum.Visible, SheetTypeEnum.WorkSheet)
    places = [number for number, each in enumerate(sheets) if (each.visible, each.typ) == visible]
    if not places:
        raise SourceError("the workbook has no visible sheet: show the one with the customers and save it again")
    place = next((number for number in places if workbook.get_sheet_by_index(number).start is not None), places[0])
    name = cut(sheets[place].name, _NAMED)
    with zipfile.ZipFile(file) as archive:
        errors, shares = _find_incomplete(archive, place, name)
    sheet = workbook.get_sheet_by_index(place)
    if sheet.start is None:
        raise SourceError(f"the sheet {name!r} is empty: put the one with the rows first and save the workbook again")
    writer = csv.writer(text, delimiter=SEPARATOR, lineterminator="\n")
    for cells in _rows(sheet, name, errors, shares):
        if cells:
            writer.writerow(cells)
        else:
            text.write("\n")


_LEAST, _TWICE = 8, 2
"""Minimum cells of a header row below titles of several cells, absolute and as a multiple of the titles' cells."""
_MOST_TITLES = 20


def _rows(
    sheet: CalamineSheet, name: str, errors: dict[tuple[int, int], str], shares: set[tuple[int, int]]
) -> Iterator[list[str]]:
    """Yield the cells of each row, without empty cells right of the header; an empty row yields no cells."""
    width, left = 0, (sheet.start or (0, 0))[1]
    failed, with_shares = {row for row, _ in errors}, {row for row, _ in shares}
    for row, values in enumerate(sheet.iter_rows()):
        cells = [value if value.__class__ is str else _text(value) for value in values]
        if row in with_shares:
            cells = [
                _percent(value) if (row, left + column) in shares and isinstance(value, float) else cell
                for column, (cell, value) in enumerate(zip(cells, values, strict=True))
            ]
        if _BREAKS.search("".join(cells)):
            cells = [_BREAKS.sub(" ", cell) for cell in cells]
        if row in failed:
            cells = [errors.get((row, left + column), cell) for column, cell in enumerate(cells)]
        while cells and not cells[-1]:
            cells.pop()
        if (not width and sum(map(bool, cells)) > 1) or (
            row < _MOST_TITLES and len(cells) >= max(_LEAST, _TWICE * width)
        ):
            width = len(cells)
            _refuse_merged(sheet, row, name)
        yield cells + [""] * (width - len(cells)) if cells else cells


def _percent(value: float) -> str:
    """Text of a cell with a percent format, `1.266%` for 0.01266: as a number it would be in the wrong unit."""
    return f"{value * 100:.12g}%"


@lru_cache(2**14, typed=True)
def _text(value: Any) -> str:
    """Text of a number, date or boolean as a CSV has it: `41` for 41.0, `2010-05-03`, `TRUE`."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _MOST_EXACT else repr(value)
    if isinstance(value, bool):
        return str(value).upper()
    return value.isoformat() if isinstance(value, date) else str(value)


def _refuse_merged(sheet: CalamineSheet, header: int, name: str) -> None:
    """Raise SourceError if the header row has merged cells, such as a title or a heading over several columns."""
    for (first, _), (last, _) in sheet.merged_cell_ranges or []:
        if first <= header <= last:
            raise SourceError(
                f"row {header + 1} of the sheet {name!r} has merged cells: the first row must name each column in a "
                "cell of its own; unmerge them, and delete titles above"
            )


_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_FORMULA_CELL = re.compile(
    rb"<(?:\w+:)?c\s([^>]*[^/>])>\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(</|<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</|<)"
)
_STYLES = "xl/styles.xml"
_ERROR = rb't="e"'
_ERROR_CELL = re.compile(
    rb"<(?:\w+:)?c\s([^>]*[^/>])>\s*(?:<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*)?<(?:\w+:)?v>([^<]*)<"
)
_PERCENT_FORMATS = {9, 10}
"""Ids of the built-in formats `0%` and `0.00%`."""
_STYLED_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*>")
_STYLE = re.compile(rb'\bs="(\d+)"')
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STRING = rb't="str"'
"""Attribute of a formula cell with a text result, which may be empty."""


def _find_incomplete(
    archive: zipfile.ZipFile, place: int, name: str
) -> tuple[dict[tuple[int, int], str], set[tuple[int, int]]]:
    """Find the cells that the reader returns incompletely: texts of errors, and positions of percentages.

    The reader returns an error, such as `#N/A`, as an empty cell, and a percentage without its format. Positions are
    (row, column) from 0. Raises SourceError if a formula has no result, because nothing here can calculate it.
    """
    part, uncalculated = _sheet_member(archive, place)
    errors: dict[tuple[int, int], str] = {}
    shares: set[tuple[int, int]] = set()
    percent = _percent_styles(archive)
    rest = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            content = rest + chunk
            if _FORMULA.search(content):
                _refuse_uncalculated(content, uncalculated, name)
            if _ERROR in content:
                places = ((_PLACE.search(cell[1]), cell) for cell in _ERROR_CELL.finditer(content) if _ERROR in cell[1])
                errors |= {_row_and_column(at): cell[2].decode() for at, cell in places if at}
            if percent:
                tags = (cell[0] for cell in _STYLED_CELL.finditer(content))
                marked = (_PLACE.search(tag) for tag in tags if (style := _STYLE.search(tag)) and style[1] in percent)
                shares |= {_row_and_column(at) for at in marked if at}
            rest = content[-_OVERLAP:]
    return errors, shares


def _percent_styles(archive: zipfile.ZipFile) -> set[bytes]:
    """Ids of the cell styles that show a percentage."""
    if _STYLES not in archive.namelist():
        return set()
    styles = ElementTree.fromstring(archive.read(_STYLES))  # noqa: S314 - expat limits entity expansion
    own = styles.iterfind("{*}numFmts/{*}numFmt")
    formats = _PERCENT_FORMATS | {int(each.attrib["numFmtId"]) for each in own if "%" in each.attrib["formatCode"]}
    cells = enumerate(styles.iterfind("{*}cellXfs/{*}xf"))
    return {str(number).encode() for number, each in cells if int(each.get("numFmtId", 0)) in formats}


def _refuse_uncalculated(content: bytes, uncalculated: bool, name: str) -> None:
    for cell in _FORMULA_CELL.finditer(content):
        if uncalculated or (cell[2] != b"<" and (_STRING not in cell[1] or cell[2] == b"</")):
            at = _PLACE.search(cell[1])
            where = f"cell {(at[1] + at[2]).decode()} of the sheet {name!r}" if at else f"a cell of the sheet {name!r}"
            raise SourceError(
                f"{where} has a formula without its result: open the workbook in the spreadsheet, save it there and "
                "send it again"
            )


def _row_and_column(place: re.Match[bytes]) -> tuple[int, int]:
    column = 0
    for letter in place[1]:
        column = column * 26 + letter - ord("A") + 1
    return int(place[2]) - 1, column - 1


def _sheet_member(archive: zipfile.ZipFile, place: int) -> tuple[str, bool]:
    """Return the archive member of a sheet, and whether its formulas were written without being calculated."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - expat limits entity expansion
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    sheets = book.find("{*}sheets")
    calculation = book.find("{*}calcPr")
    attributes = {} if sheets is None else sheets[place].attrib
    relation = next(value for name, value in attributes.items() if name.endswith("}id"))
    target = next(each.attrib["Target"] for each in relations if each.get("Id") == relation)
    uncalculated = calculation is not None and calculation.get("fullCalcOnLoad") in ("1", "true")
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/"), uncalculated


if __name__ == "__main__":
    sys.exit(run_conversion(main, SECONDS))
