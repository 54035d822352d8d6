from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.servers

Open = Callable[..., Any]


def test_one_customer_is_scored_once_and_explained(open_page: Open, site: str) -> None:
    desk = open_page(site)
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    desk.page.select_option("#field-poutcome", "success")
    desk.page.click("#one-form > button")
    expect(desk.page.locator("#score-title")).to_be_focused()
    expect(desk.page.locator("#score-title")).to_have_text("A call is worth it")
    expect(desk.page.locator("#one")).to_contain_text("Of 100 customers like this one, about")
    expect(desk.page.locator("#one li")).to_have_count(3)
    assert len(asked) == 1


def test_what_a_call_costs_decides_whether_it_is_worth_it(open_page: Open, site: str, rows: str) -> None:
    desk = open_page(site)
    desk.upload(rows)
    desk.wait_ranked()
    desk.page.fill("#value", "1.01")
    desk.page.click("#one-form > button")
    expect(desk.page.locator("#score-title")).to_have_text("A call is not worth it")
    expect(desk.page.locator("#one")).to_contain_text("A call pays from 99.0 % on.")


def test_a_value_out_of_range_is_stopped_where_it_stands(open_page: Open, site: str) -> None:
    desk = open_page(site)
    desk.page.fill("#field-age", "5")
    desk.page.click("#one-form > button")
    expect(desk.page.locator("#field-age")).to_be_focused()
    expect(desk.page.locator("#one")).to_be_hidden()


def test_a_wrong_value_in_what_is_folded_away_is_shown(open_page: Open, site: str) -> None:
    desk = open_page(site)
    summary = desk.page.locator("#fields summary")
    summary.click()
    desk.page.fill("#field-euribor3m", "99")
    summary.click()
    desk.page.click("#one-form > button")
    expect(desk.page.locator("#field-euribor3m")).to_be_visible()
    expect(desk.page.locator("#one")).to_be_hidden()


def test_the_columns_are_reported(open_page: Open, site: str) -> None:
    desk = open_page(site)
    desk.page.click("#columns")
    expect(desk.page.locator("#columns-list dt")).to_have_count(19)
    expect(desk.page.locator("#columns-list")).to_contain_text("age in years; 17 to 110")
    desk.page.keyboard.press("Escape")
    expect(desk.page.locator("#columns")).to_be_focused()
