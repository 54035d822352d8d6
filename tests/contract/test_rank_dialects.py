"""`POST /rank` of what Excel and Google Sheets save, byte by byte as they write it: all are the same list."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ranking import RankService

from deposit.settings import Settings
from serving.application import Application

Row = list[Any]


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
