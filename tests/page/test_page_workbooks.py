import io
from collections.abc import Callable
from typing import Any

import pytest
from looks import violations
from playwright.sync_api import Route, expect
from python_calamine import CalamineWorkbook
from workbooks import workbook

pytestmark = pytest.mark.servers

Open = Callable[..., Any]


def test_a_workbook_is_ranked_and_comes_back_as_one_that_follows_the_plan(
    open_page: Open, site: str, rows: str, tmp_path: Any
) -> None:
    desk = open_page(site)
    cells = [line.split(";") for line in rows.splitlines()]
    cells[3] = [cell.replace("telephone", "pigeon") for cell in cells[3]]
    month = cells[0].index("month")
    for row in cells[1:3]:
        row[month] = "September"
    desk.upload(workbook([["Our customers"], [], *cells]), "customers.xlsx")
    desk.wait_ranked()
    expect(desk.page.locator("#told")).to_contain_text("79 customers ranked, 1 row rejected")
    expect(desk.page.locator("#told")).to_contain_text("The columns are named in row 3 of the file")
    desk.page.locator("#readings summary").press("Enter")
    expect(desk.page.locator("#readings summary")).to_have_text(
        "2 values read by their spelling, such as month “September” as sep"
    )
    expect(desk.page.locator("#readings tbody tr")).to_have_text("monthSeptembersep2")
    assert violations(desk.page) == []
    desk.page.click("#rejected summary")
    expect(desk.page.locator("#rejected li")).to_have_text(
        "line 6: contact must be one of cellular, telephone; got 'pigeon'"
    )
    desk.plan(7)
    with desk.page.expect_download() as waiting:
        desk.page.click("#download-workbook")
    assert waiting.value.suggested_filename == "customers-ranked.xlsx"
    book = CalamineWorkbook.from_path(waiting.value.path())
    head, *ranked = book.get_sheet_by_name("Ranked").to_python()
    planned = desk.saved_rows("#download")
    for name in ("id", "prediction_id", "call"):
        place = head.index(name)
        assert [row[place] for row in ranked] == [row[name] for row in planned if row["rank"]]
    assert [row[head.index("call")] for row in ranked] == ["yes"] * 7 + ["no"] * 72
    assert [row[:2] for row in book.get_sheet_by_name("Rejected").to_python()[1:]] == [[6, "contact"]]
    assert book.get_sheet_by_name("Readings").to_python()[1:] == [
        ["(file)", "header row", "3", ""],
        ["month", "September", "sep", 2],
    ]


def test_a_workbook_that_cannot_be_made_is_explained(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site, refusals=True)

    def busy(route: Route) -> None:
        route.fulfill(status=503, body="")

    desk.page.route("**/workbook", busy)
    desk.upload(rows)
    desk.wait_ranked()
    desk.page.click("#download-workbook")
    expect(desk.page.locator("#download-problem")).to_contain_text("The service is busy")
    expect(desk.page.locator("#download-problem")).to_be_focused()
    desk.page.unroute("**/workbook")
    assert CalamineWorkbook.from_filelike(io.BytesIO(desk.saved("#download-workbook"))).sheet_names == [
        "Ranked",
        "Rejected",
        "Readings",
    ]
    expect(desk.page.locator("#download-problem")).to_be_empty()
