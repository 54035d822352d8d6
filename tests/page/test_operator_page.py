import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looks import violations
from operating import COLUMNS, served_page
from playwright.sync_api import Browser, Page, Route, expect

from deposit.settings import REPOSITORY

pytestmark = pytest.mark.servers  # Playwright's loop runs on: no test beside may start one

Open = Callable[..., Any]
KEPT = {(1024, "light"): "operator", (360, "dark"): "operator-phone-dark"}
READY = "#runs[aria-busy=false]"
RUN = {
    "dag_run_id": "r1", "dag_id": "deposit_train", "state": "success", "run_after": "2010-11-30T04:12:00Z",
    "start_date": "2010-11-30T04:12:00Z", "end_date": "2010-11-30T04:15:00Z",
}  # fmt: skip
DAGS = [
    {"dag_id": "deposit_monitor", "is_paused": True, "next_dagrun_run_after": "2010-12-01T02:00:00Z"},
    {"dag_id": "deposit_train", "is_paused": False, "next_dagrun_run_after": None},
]
REFUSED = (403, {"detail": "Forbidden"})


class Airflow:
    """Airflow's REST API as the page asks it: what it was sent, and what it answers to a start."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Any]] = []
        self.answer: tuple[int, Any] = (200, RUN | {"state": "queued"})

    def __call__(self, route: Route) -> None:
        request, path = route.request, route.request.url.partition("/api/v2/")[2].partition("?")[0]
        if request.method == "POST":
            assert request.headers["content-type"] == "application/json"
            self.started.append((path, json.loads(request.post_data or "")))
            route.fulfill(status=self.answer[0], json=self.answer[1])
        elif path == "dags":
            route.fulfill(json={"dags": DAGS})
        elif path.endswith("/dagRuns"):
            mine = path == "dags/deposit_train/dagRuns"
            route.fulfill(json={"dag_runs": [RUN, RUN | {"dag_run_id": "r0", "state": "failed"}] if mine else []})
        else:
            route.fulfill(json=RUN)


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with served_page() as url:
        yield url


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def open_home(open_page: Open, home: str, airflow: Airflow) -> Callable[..., Page]:
    def open_(path: str = "/deposit/", ready: str = READY, refusals: bool = False, **options: Any) -> Page:
        page: Page = open_page(home + path, refusals, ready, routes={"**/api/v2/**": airflow}, **options).page
        return page

    return open_


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1024, 1920])
def test_it_is_accessible_and_fits_as_the_screenshots_show(
    open_home: Callable[..., Page], width: int, scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = open_home(viewport={"width": width, "height": 900}, color_scheme=scheme)
    name = KEPT.get((width, scheme), f"operator-{width}-{scheme}")
    keep = (width, scheme) in KEPT and request.config.getoption("--screenshots")
    folder = REPOSITORY / "docs" / "screenshots" if keep else tmp_path
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert (folder / f"{name}.png").stat().st_size > 20_000
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator(".chart canvas")).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.click("[data-opens=dialog-release]")
    assert violations(page) == []


def test_what_happened_month_by_month_is_drawn_and_described(open_home: Callable[..., Page]) -> None:
    page = open_home()
    first = page.locator(".chart").first
    expect(first.locator(".now")).to_contain_text("0.620 to 0.720")
    first.locator(".u-over").hover()
    expect(first.locator(".reading")).to_contain_text("0.6")
    expect(first.locator(".reading")).to_contain_text("deposit-v")
    heat = page.locator(".heat").first
    assert set(heat.locator("tbody th").all_inner_texts()) == set(COLUMNS)
    assert heat.locator("td.moved").count() > 10
    expect(page.locator("details.apart")).to_contain_text("Not production: replay")


def test_the_last_runs_are_told_with_what_is_paused(open_home: Callable[..., Page]) -> None:
    rows = open_home().locator("#runs tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("deposit_monitor paused")
    expect(rows.nth(0)).to_contain_text("never ran")
    expect(rows.nth(0)).to_contain_text("2010-12-01 02:00 UTC")
    expect(rows.nth(1)).to_contain_text("2010-11-30 04:12 UTC, 3 min")
    assert rows.nth(1).locator("a.chip").all_inner_texts() == ["success", "failed"]


def test_the_keyboard_is_enough_and_nothing_starts_unasked(open_home: Callable[..., Page], airflow: Airflow) -> None:
    page = open_home()

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == wanted:
                return
        pytest.fail(f"Tab does not lead to {wanted}")

    tab_to("Skip to content")
    tab_to("Roll back…")
    page.keyboard.press("Enter")
    expect(page.locator("#dialog-rollback")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#dialog-rollback")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent.trim()") == "Roll back…"
    assert airflow.started == []
    page.keyboard.press("Enter")
    tab_to("Roll back")
    page.keyboard.press("Enter")
    expect(page.locator("#started")).to_contain_text("deposit_train was started: r1, success", timeout=60_000)
    assert airflow.started == [("dags/deposit_release/dagRuns", {"logical_date": None, "conf": {"rollback": True}})]


def test_what_is_chosen_is_sent_and_what_is_left_empty_is_not(open_home: Callable[..., Page], airflow: Airflow) -> None:
    page = open_home()
    page.click("[data-opens=dialog-release]")
    page.select_option("#dialog-release select", "deposit-v8")
    page.click("#dialog-release [type=submit]")
    expect(page.locator("#started a")).to_have_attribute("href", "../dags/deposit_train/runs/r1")
    page.click("[data-opens=dialog-monitor]")
    page.fill("#dialog-monitor input", "May 2010")
    page.click("#dialog-monitor [type=submit]")
    expect(page.locator("#dialog-monitor")).to_be_visible()  # the browser does not let it pass
    page.fill("#dialog-monitor input", "")
    page.click("#dialog-monitor [type=submit]")
    expect(page.locator("#dialog-monitor")).to_be_hidden()
    assert [(path, sent["conf"]) for path, sent in airflow.started] == [
        ("dags/deposit_release/dagRuns", {"model": "deposit-v8"}),
        ("dags/deposit_monitor/dagRuns", {}),
    ]


def test_a_start_that_airflow_refuses_is_reported_in_the_dialog(
    open_home: Callable[..., Page], airflow: Airflow
) -> None:
    airflow.answer = REFUSED
    page = open_home(refusals=True)
    page.click("[data-opens=dialog-train]")
    page.click("#dialog-train [type=submit]")
    expect(page.locator("#dialog-train .problem")).to_have_text("You do not have permission for this in Airflow.")
    expect(page.locator("#dialog-train [type=submit]")).to_be_enabled()
    assert page.locator("#started").inner_text() == ""


def test_who_may_start_nothing_sees_no_button(open_home: Callable[..., Page]) -> None:
    page = open_home("/viewer/")
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    assert page.locator("[data-opens], dialog").count() == 0


def test_in_airflows_frame_a_link_to_a_run_leads_out_of_it(browser: Browser, home: str, airflow: Airflow) -> None:
    # not by `open_page`: the console tells that such a frame can be left, and that is what is done here
    context = browser.new_context()
    context.route("**/api/v2/**", airflow)
    page = context.new_page()
    page.goto(home)
    page.frame_locator("iframe").locator("a.chip").first.click()
    expect(page).to_have_title("the run")
    context.close()
