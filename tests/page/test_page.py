import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from deposit.data.columns import NAMES
from deposit.settings import REPOSITORY

pytestmark = pytest.mark.servers

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
Open = Callable[..., Page]


@pytest.fixture
def rows(customers: list[dict[str, Any]]) -> str:
    """A list of 80 real customers, as a spreadsheet would save it."""
    written = io.StringIO()
    table = csv.writer(written, delimiter=";")
    table.writerow(["id", *NAMES])
    table.writerows([f"K{number}", *customer.values()] for number, customer in enumerate(customers[:80]))
    return written.getvalue()


def _upload(page: Page, content: str | bytes, name: str = "list.csv") -> None:
    data = content if isinstance(content, bytes) else content.encode()
    page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": data})
    page.click("#rank")


def _ranked(page: Page) -> None:
    expect(page.locator("#result")).to_be_visible()


def _column(page: Page, name: str) -> list[str]:
    heads = page.locator("#table thead th").all_inner_texts()
    return page.locator(f"#table tbody td:nth-child({heads.index(name) + 1})").all_inner_texts()


def _downloaded(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.click("#download")
    return list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text()), delimiter=";"))


def test_a_list_is_ranked_best_first_and_focus_goes_to_the_result(open_page: Open, site: str, rows: str) -> None:
    page = open_page(site)
    _upload(page, rows)
    _ranked(page)
    expect(page.locator("#told")).to_have_text("80 customers ranked.")
    expect(page.locator("#result-title")).to_be_focused()
    chances = [float(text.removesuffix(" %")) for text in _column(page, "Probability")]
    assert len(chances) == 50
    assert chances == sorted(chances, reverse=True)
    page.click("#next")
    assert len(_column(page, "Rank")) == 30


def test_pasted_rows_are_ranked(open_page: Open, site: str, rows: str) -> None:
    page = open_page(site)
    page.click("text=Paste rows instead")
    page.fill("#paste", "\n".join(rows.splitlines()[:4]))
    page.click("#rank")
    expect(page.locator("#told")).to_have_text("3 customers ranked.")


def test_the_example_works_with_reasons(open_page: Open, site: str) -> None:
    page = open_page(site)
    page.check("#reasons")
    page.click("#example")
    _ranked(page)
    page.click("#best")
    assert any(re.search(r"\([+-]\d", text) for text in _column(page, "Reasons"))


def test_the_number_of_calls_moves_marks_figures_and_download(open_page: Open, site: str, rows: str) -> None:
    page = open_page(site)
    _upload(page, rows)
    _ranked(page)
    page.fill("#calls", "7")
    page.keyboard.press("Tab")
    assert page.input_value("#slider") == "7"
    assert _column(page, "Call").count("yes") == 7
    list_ = _downloaded(page)
    assert [row["call"] for row in list_] == ["yes"] * 7 + ["no"] * 73
    expected = sum(float(row["probability"]) for row in list_[:7])
    expect(page.locator("#outlook")).to_contain_text(f"{expected:.1f}")
    expect(page.locator("#outlook")).to_contain_text(f"{expected * 10 - 7:.1f}")
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#calls") == "8"
    page.fill("#value", "1000")
    page.keyboard.press("Tab")
    page.click("#best")
    assert page.input_value("#calls") == "80"


def test_rows_are_sorted_by_keyboard_and_filtered(open_page: Open, site: str, rows: str) -> None:
    page = open_page(site)
    _upload(page, rows)
    _ranked(page)
    button = page.locator("#table thead button", has_text=re.compile("^age$"))
    button.focus()
    page.keyboard.press("Enter")
    ages = [int(text) for text in _column(page, "age")]
    assert ages == sorted(ages)
    expect(button.locator("xpath=..")).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Enter")
    ages = [int(text) for text in _column(page, "age")]
    assert ages == sorted(ages, reverse=True)
    page.fill("#filter", "K11")
    assert _column(page, "id") == ["K11"]


def test_rejected_rows_are_told_and_can_be_downloaded(open_page: Open, site: str, rows: str) -> None:
    page = open_page(site)
    lines = rows.splitlines()
    lines[3] = lines[3].replace("telephone", "pigeon")
    _upload(page, "\n".join([*lines, "only;three;cells"]))
    _ranked(page)
    expect(page.locator("#told")).to_contain_text("79 customers ranked, 2 rows rejected")
    page.click("#rejected summary")
    told = page.locator("#rejected li").all_inner_texts()
    assert "line 4: contact must be one of: cellular, telephone; got 'pigeon'" in told[0]
    assert told[1].startswith("line 82: has 3 cells")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04workbook", "is a workbook (xlsx), not a CSV"),
        (b"", "is empty"),
        (b"age;job\n1;2\n", "the list has no such column"),
        (b"\x00\x01\x02", "is not a text file"),
    ],
)
def test_a_bad_file_is_explained(open_page: Open, site: str, content: bytes, words: str) -> None:
    page = open_page(site, expected_errors=True)
    _upload(page, content)
    expect(page.locator("#problem")).to_contain_text(words)
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#rank")).to_be_enabled()


def test_nothing_chosen_is_said_without_asking_the_service(open_page: Open, site: str) -> None:
    page = open_page(site)
    page.click("#rank")
    expect(page.locator("#problem")).to_contain_text("Choose a file")


def test_one_customer_is_scored_and_explained(open_page: Open, site: str) -> None:
    page = open_page(site)
    page.select_option("#field-poutcome", "success")
    page.click("#one-form button")
    expect(page.locator("#one")).to_contain_text("is the chance that this customer takes the offer")
    expect(page.locator("#one .reason")).to_have_count(3)


def test_a_service_with_keys_asks_once_and_keeps_the_key_in_the_tab(
    open_page: Open, serve: Any, tmp_path: Path, rows: str
) -> None:
    from deposit import keys
    from deposit.settings import Settings

    file = tmp_path / "keys.json"
    _, secret = keys.add(file, "marketing", ["predict"])
    settings = Settings(state_dir=tmp_path / "state").changed("serve", keys_file=file)
    with serve(settings) as service:
        page = open_page(f"http://127.0.0.1:{service.port}", expected_errors=True)
        page.fill("#key", "deposit_wrong")
        page.click("#key-form button[type=submit]")
        expect(page.locator("#key-told")).to_contain_text("not known")
        page.fill("#key", secret)
        page.click("#key-form button[type=submit]")
        expect(page.locator("#model")).to_contain_text("deposit-v7")
        _upload(page, rows)
        _ranked(page)
        kept = page.evaluate("JSON.stringify([{...localStorage}, document.cookie])")
        assert json.loads(kept) == [{}, ""]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_accessible_and_fits(open_page: Open, site: str, scheme: Any, width: int) -> None:
    page = open_page(site, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.check("#reasons")
    page.click("#example")
    _ranked(page)
    page.click("#one-form button")
    expect(page.locator("#one")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document).then((done) => done.violations)")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_screenshots_for_the_docs(open_page: Open, site: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = REPOSITORY / "docs" / "screenshots" if request.config.getoption("--screenshots") else tmp_path
    for name, options in (
        ("page.png", {"viewport": {"width": 1280, "height": 900}}),
        ("page-phone-dark.png", {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark"}),
    ):
        page = open_page(site, **options)
        page.check("#reasons")
        page.click("#example")
        _ranked(page)
        page.click("#one-form button")
        expect(page.locator("#one")).to_be_visible()
        picture = folder / name
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
