import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from deposit import keys
from deposit.settings import Settings

pytestmark = pytest.mark.servers

Open = Callable[..., Any]


def test_a_service_with_keys_asks_and_keeps_the_key_in_the_tab(
    open_page: Open, serve: Any, tmp_path: Path, rows: str
) -> None:
    file = tmp_path / "keys.json"
    _, secret = keys.add(file, "marketing", ["predict"])
    settings = Settings(state_dir=tmp_path / "state").changed("serve", keys_file=file, max_rank_rows=50)
    with serve(settings) as service:
        desk = open_page(f"http://127.0.0.1:{service.port}", refusals=True)
        page = desk.page
        page.fill("#key", "deposit_wrong")
        page.click("#key-form button[type=submit]")
        expect(page.locator("#key-told")).to_contain_text("not known")
        page.fill("#key", secret)
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_contain_text("deposit-v7")
        desk.upload("\n".join(rows.splitlines()[:51]))
        desk.wait_ranked()
        assert json.loads(page.evaluate("JSON.stringify([{...localStorage}, document.cookie])")) == [{}, ""]
        desk.upload(rows)
        expect(page.locator("#problem")).to_contain_text("has 80 rows, 50 are taken at once; split it")
        page.click("#forget")
        expect(page.locator("#key-dialog")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        page.click("#key-cancel")
        expect(page.locator("#problem")).to_contain_text("API key is needed")
        desk.upload("\n".join(rows.splitlines()[:11]))
        page.fill("#key", secret)
        page.keyboard.press("Enter")
        desk.wait_ranked()
        expect(page.locator("#value")).to_have_value("10")


def test_the_model_that_answers_is_reported_with_its_date_its_worth_and_how_it_ranks_within_a_month(
    open_page: Open, site: str
) -> None:
    desk = open_page(site)
    desk.page.reload()  # what the browser has by now is answered by 304
    card = desk.page.locator("#model")
    expect(card).to_contain_text("deposit-v7")
    expect(card).to_contain_text("since 23 November 2026")
    expect(card).to_contain_text("earned 18,994 (95 %: 14,260 to 24,204)")
    expect(card).to_contain_text(
        "at 10 a subscription and 1 a call; calling everyone 19,512, as many at random 17,576."
    )
    expect(card).to_contain_text("Calling everyone earned more")
    expect(card).to_contain_text("mean of the months: 0.668 (95 %: 0.635 to 0.704)")
    expect(card).not_to_contain_text("0.703")
    assert card.inner_text().index("18,994") < card.inner_text().index("0.668")


def test_an_older_model_has_its_pooled_figure_named_so_and_no_worth(open_page: Open, site: str) -> None:
    answer = httpx.get(f"{site}/models", timeout=60).json()
    pooled = {"roc_auc": 0.703, "roc_auc_low": 0.692, "roc_auc_high": 0.713, "profit": 5.0}
    answer["models"] = [{**model, "metrics": pooled} for model in answer["models"]]
    desk = open_page(site)
    desk.page.route("**/models", lambda route: route.fulfill(json=answer))
    desk.page.reload()
    card = desk.page.locator("#model")
    expect(card).to_contain_text("all months pooled: 0.703 (95 %: 0.692 to 0.713)")
    expect(card).not_to_contain_text("earned")


def test_a_model_whose_ranking_was_never_measured_has_a_dash(open_page: Open, site: str) -> None:
    answer = httpx.get(f"{site}/models", timeout=60).json()
    answer["models"] = [{**model, "metrics": {"log_loss": 0.2}} for model in answer["models"]]
    desk = open_page(site)
    desk.page.route("**/models", lambda route: route.fulfill(json=answer))
    desk.page.reload()
    card = desk.page.locator("#model")
    expect(card).to_contain_text("deposit-v7")
    expect(card).to_contain_text("Out-of-time ROC AUC, all months pooled: \u2013")
    expect(card.locator(".track")).to_have_count(0)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ["/", "/assets/main.js", "/assets/pico.min.css", "/assets/example.csv"])
def test_files_are_strict_and_not_sent_twice(site: str, path: str, encoding: str) -> None:
    answer = httpx.get(site + path, headers={"Accept-Encoding": encoding}, timeout=60)
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding", "identity") == encoding
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    again = httpx.get(
        site + path, headers={"Accept-Encoding": encoding, "If-None-Match": answer.headers["etag"]}, timeout=60
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/", "/assets/nothing.js", "/assets/../page.py", "/assets/README.md"])
def test_no_other_file_is_given(site: str, path: str) -> None:
    assert httpx.get(site + path, timeout=60).status_code == 404
