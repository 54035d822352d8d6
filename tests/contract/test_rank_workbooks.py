import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from ranking import RankService
from workbooks import workbook

from deposit.data.columns import NAMES
from deposit.settings import Settings
from serving.application import Application

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = Path(__file__).parents[1] / "unit" / "data" / "tables" / "files"


@pytest.fixture
def service(
    make_model: Callable[..., object], make_application: Callable[[Settings, Path], Application], tmp_path: Path
) -> RankService:
    make_model(tmp_path / "model", version=7)
    settings = Settings(state_dir=tmp_path / "state").changed("serve", max_rank_rows=3000, max_rank_bytes=2**20)
    return RankService(make_application(settings, tmp_path / "model"), settings)


def table(customers: list[dict[str, Any]]) -> list[list[Any]]:
    return [["id", *NAMES], *([f"K{number}", *customer.values()] for number, customer in enumerate(customers))]


def as_csv(rows: list[list[Any]]) -> str:
    return "\n".join(";".join(map(str, row)) for row in rows) + "\n"


def test_a_workbook_is_ranked_as_its_csv_is(service: RankService, customers: list[dict[str, Any]]) -> None:
    rows = table(customers[:200])
    in_csv = service.rank(as_csv(rows)).raise_for_status().json()
    in_form = service.rank(workbook(rows)).raise_for_status().json()
    alone = service.post(content=workbook(rows), headers={"Content-Type": XLSX}).raise_for_status().json()
    for answer in (in_form, alone):
        assert [(row["line"], row["id"], row["probability"]) for row in answer["ranked"]] == [
            (row["line"], row["id"], row["probability"]) for row in in_csv["ranked"]
        ]
    assert len(service.logged()) == 3


def test_rejected_rows_are_named_by_their_row_in_the_sheet(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    rows = table(customers[:4])
    rows[2][1] = "forty\none"
    rows.insert(3, [])
    rows[4][2] = "pirate"
    answer = service.rank(workbook(rows, first_row=5)).raise_for_status().json()
    reasons = {row["line"]: row["reason"] for row in answer["rejected_rows"]}
    assert reasons[8] == "age must be a whole number from 17 to 110; got 'forty one'"
    assert reasons[10].startswith("job must be one of")
    assert sorted(row["line"] for row in answer["ranked"]) == [7, 11]


@pytest.mark.parametrize(
    ("name", "words"),
    [("password.xlsx", "with a password"), ("old.xls", ".xls"), ("formula.xlsx", "a formula without its result")],
)
def test_a_workbook_that_is_not_read_is_refused_as_json(service: RankService, name: str, words: str) -> None:
    response = service.rank((FILES / name).read_bytes())
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["field"] == "file"
    assert words in problem["message"]
    assert service.logged() == []


def test_too_many_rows_or_bytes_of_a_workbook_are_refused(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    assert service.rank(workbook(table((customers * 2)[:3001]))).status_code == 413
    assert service.rank(workbook([["x" * 1000, number] for number in range(2000)])).status_code == 413


def sheets(content: bytes) -> dict[str, list[list[Any]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def mixed(customers: list[dict[str, Any]]) -> str:
    sent = [{"id": f"00{number}", "note": 'a; "b"', **customer} for number, customer in enumerate(customers[:20])]
    sent[3] |= {"contact": "fax; age must be ", "age": ""}
    sent[4]["note"] = "=1+1"
    sent[5] |= {"euribor3m": "4,857", "note": "41", "marital": "MARRIED", "month": "2010-05-03"}
    sent[6]["month"] = "2010-05-03"
    lines = [";".join(sent[0])] + [
        ";".join(f'"{text}"' if '"' in (text := str(cell).replace('"', '""')) else text for cell in row.values())
        for row in sent
    ]
    lines[4] = lines[4].replace("fax; age must be ", '"fax; age must be "')
    return "\n".join([*lines, "1;2;3"]) + "\n"


def test_the_answer_is_a_workbook_on_request_with_what_was_rejected(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    content = mixed(customers)
    response = service.rank(content, headers={"Accept": XLSX}, capacity="4", reasons="true")
    assert response.headers["content-type"] == XLSX
    assert response.headers["content-disposition"] == 'attachment; filename="ranked.xlsx"'
    (logged,) = service.logged()
    book = sheets(response.content)
    head, *rows = book["Ranked"]
    assert head == ["id", "note", *NAMES, "rank", "prediction_id", "probability", "expected_value", "call", "reasons"]
    ranked = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["rank"] for row in ranked] == list(range(1, 20))
    assert [row["call"] for row in ranked] == ["yes"] * 4 + ["no"] * 15
    assert all(row["reasons"].count(";") == 2 for row in ranked[:4])
    answer = service.rank(content, headers={"X-Dry-Run": "true"}).json()["ranked"]
    assert [row["id"] for row in ranked] == [row["id"] for row in answer]
    assert [row["probability"] for row in ranked] == pytest.approx([row["probability"] for row in answer], abs=1e-15)
    by_id = {row["id"]: row for row in ranked}
    assert (by_id["004"]["note"], by_id["005"]["note"], by_id["005"]["euribor3m"]) == ("=1+1", 41, 4.857)
    head, *rows = book["Rejected"]
    assert head == ["row", "column", "reason", "id", "note", *NAMES]
    assert [row[:4] for row in rows] == [
        [5, "age", "age is empty: must be a whole number from 17 to 110", "003"],
        [5, "contact", "contact must be one of cellular, telephone; got 'fax; age must be'", "003"],
        [22, "", "has 3 cells, the header has 21", ""],
    ]
    assert book["Readings"] == [
        ["column", "as written", "read as", "cells"],
        ["(file)", "charset", "utf-8", ""],
        ["(file)", "separator", "semicolon", ""],
        ["(file)", "header row", "1", ""],
        ["marital", "MARRIED", "married", 1],
        ["month", "2010-05-03", "may", 2],
    ]
    assert logged.client == "anonymous"


def test_a_header_stays_and_columns_are_filtered_and_formatted(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    content = service.rank(mixed(customers), headers={"Accept": XLSX}).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for number, filtered in ((1, "A1:AA20"), (2, "A1:X4")):
            sheet = archive.read(f"xl/worksheets/sheet{number}.xml").decode()
            assert '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' in sheet
            assert f'<autoFilter ref="{filtered}"/>' in sheet
        assert "<f>" not in sheet
        styles = archive.read("xl/styles.xml").decode()
    assert "0.0%" in styles
    assert "#,##0.00" in styles or 'numFmtId="4"' in styles


def test_a_planned_list_becomes_a_workbook_and_nothing_is_recorded(
    service: RankService, customers: list[dict[str, Any]]
) -> None:
    ranked = service.rank(mixed(customers), headers={"Accept": "text/csv"})
    planned, kind = ranked.text.replace(";no;", ";yes;").encode(), {"Content-Type": "text/csv"}
    service.logged()
    response = service.post("/workbook", content=planned, headers=kind)
    book = sheets(response.raise_for_status().content)
    assert {row[book["Ranked"][0].index("call")] for row in book["Ranked"][1:]} == {"yes"}
    assert [row[0] for row in book["Rejected"][1:]] == [5, 5, 22]
    assert list(book) == ["Ranked", "Rejected"]
    readings = {"X-Readings": ranked.headers["x-readings"]}
    book = sheets(service.post("/workbook", content=planned, headers=kind | readings).raise_for_status().content)
    spelled = [["marital", "MARRIED", "married", 1], ["month", "2010-05-03", "may", 2]]
    assert book["Readings"][1:] == spelled
    dialect = {name: ranked.headers[name] for name in ("X-Header-Line", "X-Charset", "X-Separator")}
    book = sheets(service.post("/workbook", content=planned, headers=kind | readings | dialect).content)
    assert book["Readings"][1:] == [
        ["(file)", "charset", "utf-8", ""],
        ["(file)", "separator", "semicolon", ""],
        ["(file)", "header row", "1", ""],
        *spelled,
    ]
    assert service.logged() == []


@pytest.mark.parametrize("header", [b"", b"x", b"{}", b'[{"column": "month"}]', b'["\xff"]'])
def test_readings_that_are_none_are_refused(service: RankService, header: bytes) -> None:
    headers = {b"Content-Type": b"text/csv", b"X-Readings": header}
    response = service.post("/workbook", content=b"id\n1\n", headers=headers)
    assert (response.status_code, response.json()["detail"][0]["field"]) == (422, "X-Readings")


@pytest.mark.parametrize("line", [b"", b"first", b"-1", "²".encode()])
def test_an_invalid_header_line_is_rejected(service: RankService, line: bytes) -> None:
    headers = {b"Content-Type": b"text/csv", b"X-Header-Line": line}
    response = service.post("/workbook", content=b"id\n1\n", headers=headers)
    assert (response.status_code, response.json()["detail"][0]["field"]) == (422, "X-Header-Line")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"age;job\n1;2\n", "the last columns must be rank, prediction_id"),
        (b"id;rank;prediction_id;probability;expected_value;call;reasons;problem\n1;2\n", "a row has 2 cells"),
        (b"\xff\xfe\xfa", "no workbook can be made of this"),
        (b"", "the file is empty"),
    ],
)
def test_what_is_no_ranked_list_becomes_no_workbook(service: RankService, content: bytes, words: str) -> None:
    response = service.post("/workbook", content=content, headers={"Content-Type": "text/csv"})
    assert response.status_code == 422
    assert words in response.json()["detail"][0]["message"]
