"""Workbooks to send, made by XlsxWriter, and changed as other programs or an attacker would write them."""

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

SHEET = "xl/worksheets/sheet1.xml"
BOOK = "xl/workbook.xml"


def workbook(
    rows: Sequence[Sequence[Any]],
    first_row: int = 0,
    first_column: int = 0,
    also: Callable[[xlsxwriter.Workbook, Worksheet], object] = lambda book, sheet: None,
) -> bytes:
    """The rows on the first sheet; `also` does the rest. Dates are dates, None leaves a cell out."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content)
    sheet, dated = book.add_worksheet("calls"), book.add_format({"num_format": "yyyy-mm-dd"})
    for row, cells in enumerate(rows, first_row):
        for column, cell in enumerate(cells, first_column):
            if isinstance(cell, date):
                sheet.write_datetime(row, column, cell, dated)
            elif isinstance(cell, str):
                sheet.write_string(row, column, cell)
            elif cell is not None:
                sheet.write(row, column, cell)
    also(book, sheet)
    book.close()
    return content.getvalue()


def changed(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its parts changed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return target.getvalue()
