import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

pytestmark = pytest.mark.servers

Open = Callable[..., Any]
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)


def test_a_list_in_another_encoding_is_read_once_that_is_stated(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site, refusals=True)
    content = rows.replace("K0;", "Łódź;").encode("cp1250")
    desk.upload(content)
    expect(desk.page.locator("#problem")).to_contain_text("line 2, byte 1 (0xa3) is not UTF-8")
    desk.page.select_option("#charset", "windows-1250")
    desk.page.click("#rank")
    desk.wait_ranked()
    assert "Łódź" in {row["id"] for row in desk.saved_rows("#download")}


def test_quotes_inside_cells_and_line_ends_in_quotes_are_read_back(open_page: Open, site: str, rows: str) -> None:
    header, *lines = rows.splitlines()
    notes = ['say "hi"', '"two\nlines; and ""more"""', '5" pipe', "plain"]
    content = "\n".join([f"{header};note", *(f"{line};{note}" for line, note in zip(lines, notes * 20, strict=True))])
    desk = open_page(site)
    desk.upload(content + "\n")
    desk.wait_ranked()
    expect(desk.page.locator("#told")).to_have_text(re.compile("^80 customers ranked"))
    shown = {row["note"] for row in desk.saved_rows("#download")}
    assert shown == {'say "hi"', 'two\nlines; and "more"', '5" pipe', "plain"}


def test_a_list_is_ranked_best_first_and_focus_goes_to_the_result(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    expect(desk.page.locator("#told")).to_have_text(
        "80 customers ranked. Read as utf-8, with a semicolon between the cells."
    )
    chances = [float(text.split()[0]) for text in desk.column("Chance")]
    assert len(chances) == 50
    assert chances == sorted(chances, reverse=True)
    desk.page.click("#next")
    expect(desk.page.locator("#page")).to_have_text("51 to 80 of 80")
    assert desk.column("Rank") == [str(rank) for rank in range(51, 81)]
    expect(desk.page.locator("#next")).to_be_disabled()
    desk.page.click("#first")
    expect(desk.page.locator("#page")).to_have_text("1 to 50 of 80")


def test_pasted_rows_are_ranked(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.page.click("text=Paste rows instead")
    desk.page.fill("#paste", "\n".join(rows.splitlines()[:4]))
    desk.page.click("#rank")
    desk.wait_ranked()
    expect(desk.page.locator("#told")).to_contain_text("3 customers ranked. Read as utf-8")


def test_a_file_may_be_dropped_anywhere(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    carried = desk.page.evaluate_handle(
        "(text) => { const data = new DataTransfer(); data.items.add(new File([text], 'dropped.csv')); return data; }",
        rows,
    )
    desk.page.dispatch_event("footer", "dragover", {"dataTransfer": carried})
    expect(desk.page.locator("#drop")).to_have_class("drop over")
    desk.page.dispatch_event("footer", "drop", {"dataTransfer": carried})
    expect(desk.page.locator("#rank")).to_be_focused()
    desk.page.keyboard.press("Enter")
    desk.wait_ranked()


def test_the_example_tells_reasons_for_and_against(open_page: Open, site: str) -> None:
    desk = open_page(site)
    desk.page.click("#example")
    desk.wait_ranked()
    reasons = "\n".join(desk.column("Why"))
    assert "▲ " in reasons
    assert "▼ " in reasons
    assert not re.search(r"[+-]\d\.\d\d\)", reasons)


def test_the_calls_that_can_be_made_may_be_said_before(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.page.fill("#capacity", "5")
    desk.page.uncheck("#reasons")
    desk.upload(rows)
    desk.wait_ranked()
    expect(desk.page.locator("#calls")).to_have_value("5")
    assert desk.column("Call").count("yes") == 5
    assert "Why" not in desk.page.locator("#table thead th").all_inner_texts()


def test_rows_are_sorted_by_keyboard(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    head = desk.head("age")
    cell = head.locator("xpath=..")
    head.focus()
    for direction in ("ascending", "descending"):
        desk.page.keyboard.press("Enter")
        expect(cell).to_have_attribute("aria-sort", direction)
        ages = [int(text) for text in desk.column("age")]
        assert ages == sorted(ages, reverse=direction == "descending")
    expect(desk.page.locator("#table thead [aria-sort]")).to_have_count(1)
    desk.head("id").click()
    expect(desk.page.locator("#table tbody tr td:nth-child(3)").first).to_have_text("K0")
    assert desk.column("id")[:12] == [f"K{number}" for number in range(12)]
    desk.head("Chance").click()
    expect(desk.head("Chance").locator("xpath=..")).to_have_attribute("aria-sort", "descending")
    assert desk.column("Rank")[0] == "1"


def test_rows_are_found_and_parts_are_shown(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    range_shown = desk.page.locator("#page")
    desk.page.fill("#filter", "k11")
    expect(range_shown).to_have_text("1 to 1 of 1")
    assert desk.column("id") == ["K11"]
    desk.page.fill("#filter", "no such thing")
    expect(range_shown).to_have_text("No such row")
    desk.page.fill("#filter", "")
    desk.plan(7)
    desk.page.select_option("#which", "call")
    expect(range_shown).to_have_text("1 to 7 of 7")
    desk.plan(9)
    expect(range_shown).to_have_text("1 to 9 of 9")
    desk.page.select_option("#which", "rest")
    expect(range_shown).to_have_text("1 to 50 of 71")
    assert desk.column("Rank")[0] == "10"
    desk.page.uncheck("#wide")
    assert desk.page.locator("#table thead th").all_inner_texts()[:4] == ["Rank", "Call", "id", "Chance"]


def test_rejected_rows_are_told_and_can_be_downloaded(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    lines = rows.splitlines()
    lines[3] = lines[3].replace("telephone", "pigeon")
    desk.upload("\n".join([*lines, "only;three;cells"]))
    desk.wait_ranked()
    expect(desk.page.locator("#told")).to_contain_text("79 customers ranked, 2 rows rejected")
    desk.page.click("#rejected summary")
    reasons = desk.page.locator("#rejected li").all_inner_texts()
    assert "line 4: contact must be one of cellular, telephone; got 'pigeon'" in reasons[0]
    assert reasons[1].startswith("line 82: has 3 cells")
    saved = desk.saved_rows("#rejected-download")
    assert [row["problem"] for row in saved] == reasons
    assert saved[0]["id"] == "K2"


def test_a_bad_file_is_explained(open_page: Open, site: str) -> None:
    desk = open_page(site, refusals=True)
    for content, words in (
        (OLD_WORKBOOK, "an old Excel workbook (.xls), not a CSV: in the spreadsheet choose Save as, Excel workbook"),
        (b"", "is empty"),
        (b"age;job\n1;2\n", "marital: the list has no such column"),
        (b"\x00\x01\x02", "this is not a text file"),
    ):
        desk.upload(content)
        expect(desk.page.locator("#problem")).to_contain_text(words)
        expect(desk.page.locator("#problem")).to_be_focused()
        expect(desk.page.locator("#result")).to_be_hidden()
        expect(desk.page.locator("#rank")).to_be_enabled()


def test_a_list_of_bad_values_only_is_explained_by_line(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site, refusals=True)
    head, first, *_ = rows.splitlines()
    desk.upload(f"{head}\n{first.replace('K0;56', 'K0;5')}\n")
    expect(desk.page.locator("#problem")).to_contain_text("line 2: age must be")


def test_nothing_chosen_is_said_without_asking_the_service(open_page: Open, site: str) -> None:
    desk = open_page(site)
    desk.page.click("#rank")
    expect(desk.page.locator("#problem")).to_contain_text("Choose a file")


def test_a_refusal_is_said_in_plain_words(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site, refusals=True)
    answers = {
        503: ("<h1>503</h1>", "busy"),
        413: ("", "too large"),
        429: ('{"detail": [{"row": null, "field": null, "message": "try again in 3 s"}]}', "try again in 3 s"),
    }
    desk.page.route("**/rank", lambda route: route.fulfill(status=status, body=body))
    for status, (body, words) in answers.items():  # noqa: B007 - the route reads them
        desk.upload(rows)
        expect(desk.page.locator("#problem")).to_contain_text(words)


def test_a_list_on_its_way_can_be_called_back(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    held: list[Route] = []
    desk.page.route("**/rank", lambda route: held.append(route))
    desk.upload(rows)
    expect(desk.page.locator("#progress-text")).to_contain_text("Sending")
    desk.page.click("#cancel")
    expect(desk.page.locator("#problem")).to_contain_text("Cancelled")
    expect(desk.page.locator("#working")).to_be_hidden()


def test_a_hundred_thousand_rows_are_shown(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    head, *lines = rows.splitlines()
    desk.page.uncheck("#reasons")
    desk.upload("\n".join([head, *lines * 1250]))
    desk.wait_ranked()
    expect(desk.page.locator("#page")).to_have_text("1 to 50 of 100,000")
    desk.page.fill("#filter", "K79")
    expect(desk.page.locator("#page")).to_have_text("1 to 50 of 1,250")
