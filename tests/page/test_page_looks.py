from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looks import LOOKS, violations
from playwright.sync_api import Route, expect

from deposit.settings import REPOSITORY

pytestmark = pytest.mark.servers

KEPT = {"page", "page-phone-dark"}
Open = Callable[..., Any]


@pytest.mark.parametrize("name", LOOKS)
def test_it_is_accessible_and_fits_as_the_screenshots_show(
    open_page: Open, site: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    desk = open_page(site, **LOOKS[name])
    desk.page.fill("#capacity", "24")
    desk.page.click("#example")
    desk.wait_ranked()
    desk.page.click("#one-form > button")
    expect(desk.page.locator("#one")).to_be_visible()
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= LOOKS[name]["viewport"]["width"]
    assert violations(desk.page) == []
    keep = name in KEPT and request.config.getoption("--screenshots")
    folder = REPOSITORY / "docs" / "screenshots" if keep else tmp_path
    desk.page.evaluate("scrollTo(0, 0)")
    desk.page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert (folder / f"{name}.png").stat().st_size > 20_000


@pytest.mark.parametrize("name", ["page", "page-phone-dark"])
def test_a_stale_model_is_shown_as_such(open_page: Open, site: str, name: str, tmp_path: Path) -> None:
    desk = open_page(site, **LOOKS[name])
    expect(desk.page.locator("#model h2")).to_be_visible()
    expect(desk.page.locator("#stale")).to_be_hidden()

    def in_five_months(route: Route) -> None:
        content = route.fetch().json()
        content["models"][0] |= {"age_months": 5, "stale": True}
        route.fulfill(json=content)

    desk.page.route("**/models", in_five_months)
    desk.page.reload()
    expect(desk.page.locator("#stale")).to_contain_text("up to November 2010, and from nothing newer for 5 months")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= LOOKS[name]["viewport"]["width"]
    assert violations(desk.page) == []
    desk.page.screenshot(path=tmp_path / "stale.png")


def test_dialogs_and_problems_are_accessible(open_page: Open, site: str) -> None:
    desk = open_page(site)
    desk.page.click("#rank")
    desk.page.click("#columns")
    assert violations(desk.page) == []


def test_the_keyboard_is_enough(open_page: Open, site: str) -> None:
    desk = open_page(site)

    def tab_to(name: str) -> None:
        for _ in range(60):
            desk.page.keyboard.press("Tab")
            if desk.page.evaluate("document.activeElement.id || document.activeElement.className") == name:
                return
        pytest.fail(f"Tab does not lead to {name}")

    tab_to("skip")
    desk.page.keyboard.press("Enter")
    tab_to("example")
    desk.page.keyboard.press("Enter")
    desk.wait_ranked()
    tab_to("slider")
    before = int(desk.page.input_value("#calls"))
    desk.page.keyboard.press("ArrowLeft")
    expect(desk.page.locator("#calls")).to_have_value(str(before - 1))
    tab_to("filter")
    desk.page.keyboard.type("C010")
    expect(desk.page.locator("#page")).to_have_text("1 to 1 of 1")
    tab_to("download")
    with desk.page.expect_download():
        desk.page.keyboard.press("Enter")
