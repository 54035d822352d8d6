"""`/docs`: the API to read and to try, with a key, without internet, under the page's policy."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looks import LOOKS, violations
from playwright.sync_api import Page, expect

from deposit import keys
from deposit.settings import Settings

pytestmark = pytest.mark.servers
Open = Callable[..., Any]


@pytest.fixture
def open_docs(open_page: Open) -> Callable[..., Page]:
    """The page `/docs` of a service, with what its document lists on it."""

    def open_(site: str, **options: Any) -> Page:
        page: Page = open_page(f"{site}/docs", ready=".opblock", **options).page
        return page

    return open_


@pytest.fixture
def keyed(serve: Any, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A service that wants a key, and one."""
    file = tmp_path / "keys.json"
    _, secret = keys.add(file, "marketing", ["predict"])
    with serve(Settings(state_dir=tmp_path / "state").changed("serve", keys_file=file)) as service:
        yield f"http://127.0.0.1:{service.port}", secret


def test_a_request_is_tried_with_a_key_that_is_entered(open_docs: Callable[..., Page], keyed: tuple[str, str]) -> None:
    site, secret = keyed
    page = open_docs(site, refusals=True)
    page.locator(".authorize").first.click()
    page.fill(".auth-container input", secret)
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")
    predict = page.locator(".opblock", has_text="/predict")
    predict.locator(".opblock-summary-control").click()
    predict.locator(".execute").click()
    answer = predict.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    [prediction] = json.loads(answer.locator("pre").first.inner_text())["predictions"]
    assert prediction["id"] == "customer-1"
    assert page.evaluate("JSON.stringify([{...localStorage}, document.cookie])") == '[{},""]'


def test_the_key_of_the_page_in_the_same_tab_is_taken(open_docs: Callable[..., Page], keyed: tuple[str, str]) -> None:
    site, secret = keyed
    page = open_docs(site, refusals=True)
    page.evaluate("key => sessionStorage.setItem('deposit.key', key)", secret)
    page.reload()
    models = page.locator(".opblock", has_text="/models")
    models.locator(".opblock-summary-control").click()
    models.locator(".execute").click()
    expect(models.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


@pytest.mark.parametrize("name", LOOKS)
def test_it_is_accessible(open_docs: Callable[..., Page], site: str, name: str, tmp_path: Path) -> None:
    page = open_docs(site, **LOOKS[name])
    page.locator(".opblock", has_text="/predict").locator(".opblock-summary-control").click()
    expect(page.locator(".opblock .execute")).to_be_visible()
    page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= LOOKS[name]["viewport"]["width"]
    assert violations(page) == []
