"""`POST /rank` of what Excel and Google Sheets save, byte by byte as they write it: all are the same list."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from ranking import RankService

from deposit.settings import Settings
from serving.application import Application

Row = list[Any]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def cells(row: Row, separator: str, comma: bool = False) -> str:
    """Quoted only where they must be, as both do it."""
    texts = [str(cell).replace(".", ",") if comma and isinstance(cell, float) else str(cell) for cell in row]
    return separator.join(
        '"' + text.replace('"', '""') + '"' if separator in text or '"' in text else text for text in texts
    )


def text(rows: list[Row], separator: str, comma: bool = False, last: str = "\r\n") -> str:
    return "\r\n".join(cells(row, separator, comma) for row in rows) + last


def google(rows: list[Row]) -> bytes:
    return text(rows, ",", last="").encode()


def google_tabs(rows: list[Row]) -> bytes:
    return text(rows, "\t", last="").encode()


def excel_utf8(rows: list[Row]) -> bytes:
    return b"\xef\xbb\xbf" + text(rows, ",").encode()


def excel_utf8_where_the_comma_is_decimal(rows: list[Row]) -> bytes:
    return b"\xef\xbb\xbf" + text(rows, ";", comma=True).encode()


def excel_csv_where_the_comma_is_decimal(rows: list[Row]) -> bytes:
    return text(rows, ";", comma=True).encode("cp1252")


def excel_unicode_text(rows: list[Row]) -> bytes:
    return b"\xff\xfe" + text(rows, "\t", comma=True).encode("utf-16-le")


def with_sep_line(rows: list[Row]) -> bytes:
    return b"sep=;\r\n" + text(rows, ";", comma=True).encode()


def empty_columns_and_rows(rows: list[Row]) -> bytes:
    """A sheet in which cells right of and below the table were used once."""
    return text([[*row, "", ""] for row in rows], ",").encode() + b"," * (len(rows[0]) + 1) + b"\r\n"


DIALECTS: dict[Callable[[list[Row]], bytes], dict[str, str]] = {
    google: {},
    google_tabs: {},
    excel_utf8: {},
    excel_utf8_where_the_comma_is_decimal: {},
    excel_csv_where_the_comma_is_decimal: {"charset": "windows-1252"},
    excel_unicode_text: {},
    with_sep_line: {},
}


@pytest.fixture
def service(
    make_model: Callable[..., object], make_application: Callable[[Settings, Path], Application], tmp_path: Path
) -> RankService:
    make_model(tmp_path / "model", version=7)
    settings = Settings(state_dir=tmp_path / "state")
    return RankService(make_application(settings, tmp_path / "model"), settings)


def sheet(customers: list[dict[str, Any]]) -> list[Row]:
    notes = ["plain", 'say "hi"', "a, b; c", "Müller"]
    rows = [[f"Jürgen {number}", *customer.values()] for number, customer in enumerate(customers[:40])]
    return [["id", *customers[0], "note"], *([*row, notes[number % 4]] for number, row in enumerate(rows))]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_the_same_list(
    service: RankService, customers: list[dict[str, Any]], dialect: Callable[[list[Row]], bytes]
) -> None:
    rows = sheet(customers)
    plain = service.rank(text(rows, ";")).raise_for_status().json()
    answer = service.rank(dialect(rows), **DIALECTS[dialect]).raise_for_status().json()
    assert answer["rejected"] == 0
    assert [(row["id"], row["probability"]) for row in answer["ranked"]] == [
        (row["id"], row["probability"]) for row in plain["ranked"]
    ]


def test_what_was_used_once_beside_the_table_is_named_and_takes_no_part(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    answer = service.rank(empty_columns_and_rows(sheet(customers))).raise_for_status().json()
    assert (answer["rows"], answer["rejected"]) == (40, 0)


def sap(rows: list[Row]) -> str:
    """A list as SAP exports it: bars between and around the cells, minus signs behind the numbers."""
    signed = [
        [f"{-cell}-".replace(".", ",") if isinstance(cell, float) and cell < 0 else cell for cell in row]
        for row in rows
    ]
    lines = [f"|{cells(row, '|', comma=True)}|" for row in signed]
    return "\r\n".join(["Dynamic list display", "", lines[0], *lines[1:], ""])


def each(rows: list[Row], change: Callable[[Any], object]) -> str:
    """The list with every cell changed, except the column names, the ids and the notes."""
    return text([rows[0], *([row[0], *map(change, row[1:-1]), row[-1]] for row in rows[1:])], ";")


def turkish_upper(cell: Any) -> Any:
    return cell.replace("i", "İ").upper() if isinstance(cell, str) else cell


PROGRAMS: dict[str, Callable[[list[Row]], str]] = {
    "sap": sap,
    "turkish capitals": lambda rows: each([[turkish_upper(name) for name in rows[0]], *rows[1:]], turkish_upper),
    "accounting": lambda rows: each(rows, lambda cell: f"({-cell})" if isinstance(cell, float) and cell < 0 else cell),
    "text kept from a spreadsheet": lambda rows: each(rows, lambda cell: f'="{cell}"'),
    "apostrophes before": lambda rows: each(rows, lambda cell: f"'{cell}"),
    "single quotes": lambda rows: each(rows, lambda cell: f"'{cell}'"),
    "quotes of typography": lambda rows: each(rows, lambda cell: f"“{cell}”"),
    "quotes after blanks": lambda rows: (
        text(rows[:1], ";") + each(rows, lambda cell: f' "{cell}"').partition("\r\n")[2]
    ),
    "groups above the names": lambda rows: ";Client;;;;;;;Contact;;;Campaign;;;;Economy;;;;;\r\n" + text(rows, ";"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_cells_as_programs_write_them_get_the_same_scores(
    service: RankService, customers: list[dict[str, Any]], program: str
) -> None:
    rows = sheet(customers)
    plain = service.rank(text(rows, ";")).raise_for_status().json()
    content = PROGRAMS[program](rows)
    answer = service.rank(content).raise_for_status().json()
    assert answer["rejected"] == 0
    assert [row["probability"] for row in answer["ranked"]] == [row["probability"] for row in plain["ranked"]]
    assert service.rank(content, headers={"Accept": XLSX}).status_code == 200


def test_a_minus_sign_behind_a_number_is_listed_in_readings(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    rows = sheet(customers)
    answer = service.rank(sap(rows)).raise_for_status().json()
    readings = {(each["column"], each["value"], each["text"]) for each in answer["readings"]}
    confidence = rows[0].index("cons.conf.idx")
    assert {("cons.conf.idx", str(row[confidence]), f"{-row[confidence]}-".replace(".", ",")) for row in rows[1:]} <= (
        readings
    )


@pytest.mark.parametrize("content", ["Total;;;;;;;;;;;;;;;;;;;;", "Total;;;;;;;;;;;;;;;;;;;206440.5;"])
def test_a_totals_row_has_one_reason_for_its_empty_cells(
    service: RankService, customers: list[dict[str, Any]], content: str
) -> None:
    rows = sheet(customers)
    (bad,) = service.rank(text(rows, ";") + content + "\r\n").raise_for_status().json()["rejected_rows"]
    first, _, others = bad["reason"].partition("; ")
    assert first in (
        "19 columns are empty (age, job, marital and 16 more)",
        "18 columns are empty (age, job, marital and 15 more)",
    )
    assert others == (
        "nr.employed must be a number from 1000 to 20000; got '206440.5'" if "206440.5" in content else ""
    )
    book = service.rank(text(rows, ";") + content + "\r\n", headers={"Accept": XLSX}).raise_for_status()
    sheet_of_rejected = CalamineWorkbook.from_filelike(io.BytesIO(book.content)).get_sheet_by_name("Rejected")
    assert sheet_of_rejected.to_python()[1][2] == first


def test_a_long_cell_is_returned_in_every_format(service: RankService, customers: list[dict[str, Any]]) -> None:
    rows = sheet(customers)
    rows[1][-1] = "x" * 200_000
    for kind in ("application/json", "text/csv", XLSX):
        assert service.rank(text(rows, ";"), headers={"Accept": kind}).status_code == 200


@pytest.mark.parametrize(
    ("content", "charset", "words"),
    [
        (b"age;job\r\n41;admin.\r\n", "utf-16", "no byte-order mark, which utf-16 requires: state utf-16-le or"),
        ("Łódź;age;job\r\n".encode("utf-16-le"), "", "looks like utf-16-le without its byte-order mark"),
        ("<html><table>".encode("utf-16"), "", "this is a web page (HTML)"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\n", "", "this is a web page (HTML)"),
        (b"sep=^\r\nage^job\r\n", "", "the columns are separated by `^`: save the file with"),
    ],
)
def test_an_unreadable_file_is_rejected_with_one_sentence(
    service: RankService, content: bytes, charset: str, words: str
) -> None:
    response = service.rank(content, charset=charset)
    assert response.status_code == 422
    assert [words in problem["message"] for problem in response.json()["detail"]] == [True]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("capacity", "1.000", "in digits only, such as 1000"),
        ("capacity", "1,000", "in digits only, such as 1000"),
        ("deposit_value", "10,5", "with a point before the decimals and no other sign, such as 10.5"),
    ],
)
def test_ambiguous_numbers_in_form_fields_are_rejected(
    service: RankService, customers: list[dict[str, Any]], field: str, value: str, words: str
) -> None:
    response = service.rank(text(sheet(customers), ";"), **{field: value})
    (problem,) = response.json()["detail"]
    assert (response.status_code, problem["field"]) == (422, field)
    assert words in problem["message"]
