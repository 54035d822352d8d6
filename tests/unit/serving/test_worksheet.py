import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from python_calamine import CalamineWorkbook

from deposit.errors import ContractError
from serving import worksheet
from serving.worksheet import Column, Workbook


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Workbook]]:
    """Makes workbooks of sheets of columns."""
    with ExitStack() as stack:
        yield lambda **sheets: stack.enter_context(closing(Workbook(sheets, str(tmp_path))))


def either(text: str) -> str | float:
    return float(text) if text.lstrip("-").replace(".", "").isdigit() else text


def saved(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def rows(content: bytes, name: str) -> list[list[Any]]:
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(name).to_python()


def test_texts_that_mean_something_in_xml_or_to_the_spreadsheet_come_back_as_they_are(
    make: Callable[..., Workbook],
) -> None:
    texts = ["<r>a & b</r>", "]]>", " kept ", "=1+1", '"', "é😀", "two\nlines", "\ttab", "_x", "yes"]
    book = make(list=[Column(str(place), str) for place, _ in enumerate(texts)])
    book["list"].add(texts)
    assert rows(saved(book), "list")[1] == texts


def test_characters_that_xml_has_not_are_written_as_the_standard_has_it(make: Callable[..., Workbook]) -> None:
    book = make(list=[Column("a", str)])
    book["list"].add(["bell\x07, CR\r, \ufffe and _x0007_ as such"])
    with zipfile.ZipFile(io.BytesIO(saved(book))) as archive:
        part = archive.read("xl/worksheets/sheet1.xml")
    texts = [element.text for element in ElementTree.fromstring(part).iter() if element.tag.endswith("}t")]
    assert texts == ["bell_x0007_, CR_x000D_, _xFFFE_ and _x005F_x0007_ as such"]


def test_each_column_keeps_its_place_and_its_way_to_show_numbers(make: Callable[..., Workbook]) -> None:
    book = make(
        first=[Column("id", str), Column("value", either, "#,##0.00"), Column("chance", either, "0.0%")],
        second=[Column("row", either), Column("chance", either, "0.0%")],
    )
    for number in range(5000):
        book["first"].add([f"K{number}", str(number), "" if number % 2 else f"0.{number}"])
    book["second"].add(["7", "0.5"])
    content = saved(book)
    head, *body = rows(content, "first")
    assert head == ["id", "value", "chance"]
    assert body == [[f"K{number}", number, "" if number % 2 else float(f"0.{number}")] for number in range(5000)]
    assert rows(content, "second") == [["row", "chance"], [7, 0.5]]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        first, second = (archive.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2))
        styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {element.get("numFmtId"): element.get("formatCode") for element in styles.findall(".//{*}numFmt")}
    codes |= {"4": "#,##0.00", "0": "General"}  # which every program knows by number
    shown = [codes[element.get("numFmtId")] for element in styles.findall("./{*}cellXfs/{*}xf")]
    assert (first.count('<dimension ref="A1:C5001"/>'), first.count("<row ")) == (1, 5001)
    for part, cell, code in (
        (first, "B2", "#,##0.00"),
        (first, "C2", "0.0%"),
        (second, "A2", "General"),
        (second, "B2", "0.0%"),
    ):
        style = part.partition(f'<c r="{cell}" s="')[2].partition('"')[0]
        assert shown[int(style)] == code


def test_no_cell_is_longer_than_a_spreadsheet_opens(make: Callable[..., Workbook]) -> None:
    texts = ["a" * 32_766, "a" * 40_000, "😀" * 20_000]
    book = make(list=[Column(str(place), str) for place, _ in enumerate(texts)])
    book["list"].add(texts)
    whole, *cut = map(str, rows(saved(book), "list")[1])
    assert whole == texts[0]
    for text in cut:
        assert len(text.encode("utf-16-le")) // 2 <= 32_767
        assert text.endswith("…")


def test_more_rows_than_a_spreadsheet_opens_are_refused(
    make: Callable[..., Workbook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worksheet, "_MOST_ROWS", 3)
    sheet = make(list=[Column("a", str)])["list"]
    sheet.add(["1"])
    sheet.add(["2"])
    with pytest.raises(ContractError, match="the sheet list has no room for more than 2 rows: use CSV"):
        sheet.add(["3"])


def test_an_empty_sheet_has_its_header_alone(make: Callable[..., Workbook]) -> None:
    assert rows(saved(make(list=[Column("a", str)])), "list")[0] == ["a"]
