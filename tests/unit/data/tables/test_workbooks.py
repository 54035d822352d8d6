import io
import random
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
from workbooks import BOOK, SHEET, changed, workbook

from deposit.data.tables.plaintext import plain_csv
from deposit.errors import DataError, SourceError, TooLargeError

FILES = Path(__file__).parent / "files"
HEAD = ["age", "job"]


def lines(content: bytes, limit: int | None = None) -> list[str]:
    return plain_csv(io.BytesIO(content), io.BytesIO, limit).file.getvalue().decode().splitlines()


def test_line_n_is_row_n_whatever_is_empty_above_between_and_around() -> None:
    content = workbook([HEAD, [41, "admin."], [], [42, "services"], [None, None, ""], []], first_row=2, first_column=3)
    assert lines(content) == ["", "", "age;job", "41;admin.", "", "42;services", ""]


def test_cells_are_written_as_in_a_csv() -> None:
    when = datetime(2010, 5, 3, 9, 30)  # noqa: DTZ001 - sheets know no time zones
    cells = [
        41,
        41.0,
        1.1,
        5099.1,
        -0.5,
        1e300,
        True,
        False,
        " admin. ",
        "4,5",
        "0041",
        'a "b"; c',
        date(2010, 5, 3),
        when,
    ]
    content = workbook([[str(place) for place, _ in enumerate(cells)], cells])
    assert lines(content)[1] == (
        '41;41;1.1;5099.1;-0.5;1e+300;TRUE;FALSE; admin. ;4,5;0041;"a ""b""; c";2010-05-03;2010-05-03T09:30:00'
    )


def test_a_line_end_in_a_cell_becomes_a_blank_and_moves_no_row() -> None:
    assert lines(workbook([["a\r\nge", "job"], ["4\n1", "admin."]])) == ["a ge;job", "4 1;admin."]


def test_short_rows_are_filled_and_what_stands_beside_the_table_is_not_cut_off() -> None:
    assert lines(workbook([[*HEAD, "note"], [41], [42, "services", "", "?"]])) == [
        "age;job;note",
        "41;;",
        "42;services;;?",
    ]


def test_titles_above_the_names_and_a_merged_one_are_rows_of_their_own() -> None:
    names, row = [f"column {number}" for number in range(9)], list(range(8))
    titled = lines(workbook([[], ["Exported", date(2010, 11, 1)], names, row], also=merge))
    assert titled == ["Customers", "Exported;2010-11-01", ";".join(names), ";".join(map(str, row)) + ";"]


def test_a_percentage_is_read_as_it_is_shown() -> None:
    def rates(book, sheet):
        for row, form in enumerate(["0.00%", "0.0 %;[Red]-0.0 %", "0.000"]):
            sheet.write_number(row + 1, 1, 0.01266, book.add_format({"num_format": form}))

    assert lines(workbook([["age", "euribor3m"], [41], [42], [43]], also=rates))[1:] == [
        "41;1.266%",
        "42;1.266%",
        "43;0.01266",
    ]


def test_an_empty_sheet_before_the_list_is_passed_over() -> None:
    def second(book, sheet):
        book.add_worksheet("customers").write_row(0, 0, HEAD)

    assert lines(workbook([], also=second)) == [";".join(HEAD)]


def test_the_first_visible_sheet_is_read() -> None:
    def hidden(book, sheet):
        other = book.add_worksheet("list")
        other.write_row(0, 0, ["age"])
        other.activate()
        other.set_first_sheet()
        sheet.hide()

    assert lines(workbook([HEAD, [1, "x"]], also=hidden)) == ["age"]


def test_a_formula_s_cached_value_and_an_error_s_name_are_read() -> None:
    def formulas(book, sheet):
        sheet.write_formula("A2", "=40+1", None, 41)
        sheet.write_formula("B2", "=NA()", None, "#N/A")
        sheet.write_formula("A3", '=""', None, "empty")

    content = workbook([HEAD], also=formulas)
    content = changed(
        content, BOOK, lambda part: part.replace(b' fullCalcOnLoad="1"', b"")
    )  # as a spreadsheet saves it
    content = changed(content, SHEET, lambda part: part.replace(b"<v>empty</v>", b"<v></v>"))
    assert lines(changed(content, SHEET, lambda part: part)) == ["age;job", "41;#N/A", ""]


def test_another_prefix_for_the_names_of_elements_is_read_as_well() -> None:
    def prefixed(part: bytes) -> bytes:
        part = part.replace(b"<", b"<x:").replace(b"<x:/", b"</x:").replace(b"<x:?", b"<?")
        return part.replace(b"xmlns=", b"xmlns:x=")

    def formula(book, sheet):
        sheet.write_formula("A2", "=40+1", None, "")

    assert lines(changed(workbook([HEAD, [41, "admin."]]), SHEET, prefixed)) == ["age;job", "41;admin."]
    with pytest.raises(SourceError, match="cell A2 of the sheet 'calls' has a formula without its result"):
        lines(changed(workbook([HEAD], also=formula), SHEET, prefixed))


def hide(part: bytes) -> bytes:
    return part.replace(b"<sheet ", b'<sheet state="hidden" ')


def merge(book, sheet):
    sheet.merge_range("A1:B1", "Customers")


def empty_formula(book, sheet):
    sheet.write_formula("A2", "=40+1", None, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((FILES / "password.xlsx").read_bytes(), "a document with a password, not a CSV: open it, remove the password"),
        ((FILES / "old.xls").read_bytes(), "an old Excel workbook (.xls), not a CSV: in the spreadsheet"),
        ((FILES / "formula.xlsx").read_bytes(), "cell A2 of the sheet 'Sheet' has a formula without its result"),
        (workbook([HEAD], also=empty_formula), "cell A2 of the sheet 'calls' has a formula without its result"),
        (workbook([[*HEAD, "note"]], also=merge), "row 1 of the sheet 'calls' has merged cells"),
        (changed(workbook([HEAD]), BOOK, hide), "no visible sheet"),
        (workbook([]), "the sheet 'calls' is empty"),
        (workbook([HEAD])[:-30], "not a complete .zip archive or workbook"),
        (changed(workbook([HEAD]), SHEET, lambda part: part[:300]), "not a complete, readable .xlsx file"),
        (changed(workbook([HEAD]), BOOK, lambda part: b"<"), "not a complete, readable .xlsx file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_to_do(content: bytes, words: str) -> None:
    with pytest.raises(SourceError) as refusal:
        lines(content)
    assert words in str(refusal.value)


def padded(content: bytes, megabytes: int) -> bytes:
    """The workbook with a part more, of blanks."""
    target = io.BytesIO(content)
    with (
        zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/x", "w") as part,
    ):
        for _ in range(megabytes):
            part.write(bytes(10**6))
    return target.getvalue()


FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
LONG = b"a" * 20_000_000


@pytest.mark.parametrize(
    "content",
    [
        changed(workbook([HEAD]), SHEET, lambda part: part.replace(b"</sheetData>", FAR)),
        changed(workbook([HEAD] * 1000), "xl/sharedStrings.xml", lambda part: part.replace(b"age", LONG)),
        changed(
            workbook([HEAD]), SHEET, lambda part: part.replace(b"<sheetData>", b"<sheetData>" + b" " * 700_000_000)
        ),
    ],
    ids=["a cell in the last row and column", "one long text in many cells", "blanks that are packed well"],
)
def test_a_small_file_that_becomes_a_large_one_is_refused(content: bytes) -> None:
    assert len(content) < 2**22
    with pytest.raises(TooLargeError, match="too large for a workbook: use CSV, or split it"):
        lines(content)


def test_more_bytes_than_are_taken_are_refused() -> None:
    with pytest.raises(TooLargeError, match="larger than 1000 bytes"):
        lines(workbook([HEAD, *([41, "admin."] for _ in range(500))]), 1000)


def test_damage_anywhere_is_a_sentence_or_does_no_harm() -> None:
    content, chance = workbook([HEAD, *([41, "admin."] for _ in range(20))]), random.Random(0)
    refusals = []
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            lines(bytes(damaged))
        except DataError as error:
            refusals.append(str(error))
    assert refusals
    assert all(len(text) <= 200 for text in refusals)
