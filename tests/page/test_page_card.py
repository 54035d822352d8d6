"""The model card: opened from the page with its key, in the policy that it inherits, and as it looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from deposit import keys
from deposit.settings import Settings

pytestmark = pytest.mark.servers

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
Open = Callable[..., Any]


def opened(desk: Any) -> tuple[Page, list[str]]:
    """The card's tab, and what the browser's console tells of it."""
    messages: list[str] = []
    context = desk.page.context
    context.on("console", lambda message: messages.append(message.text))
    with context.expect_page() as waiting:
        desk.page.click("#card")
    card = waiting.value
    card.wait_for_load_state()
    return card, messages


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_card_opens_in_a_tab_with_its_style_and_fits(
    open_page: Open, site: str, scheme: str, width: int, tmp_path: Path
) -> None:
    desk = open_page(site, color_scheme=scheme, viewport={"width": width, "height": 800})

    card, messages = opened(desk)

    expect(card.locator("h1")).to_have_text("Model card: deposit-v7")
    assert card.evaluate("document.documentElement.scrollWidth") <= width
    paper = card.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
    assert card.locator("svg polyline.a").first.evaluate("node => getComputedStyle(node).fill") == "none"
    card.evaluate(AXE)
    violations = card.evaluate("axe.run(document).then((done) => done.violations)")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []
    card.screenshot(path=tmp_path / "card.png", full_page=True)
    assert messages == []


def test_the_card_needs_a_key_as_the_models_do(open_page: Open, serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    _, secret = keys.add(file, "marketing", ["predict"])
    _, other = keys.add(file, "crm", ["outcomes"])
    settings = Settings(state_dir=tmp_path / "state").changed("serve", keys_file=file)
    with serve(settings) as service:
        url = f"http://127.0.0.1:{service.port}"
        answers = [
            httpx.get(f"{url}/card", headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=60)
            for key in (None, other, secret)
        ]
        assert [answer.status_code for answer in answers] == [401, 403, 200]
        policy = answers[-1].headers["content-security-policy"]
        assert "sandbox" in policy
        assert "unsafe" not in policy
        unchanged = {"Authorization": f"Bearer {secret}", "If-None-Match": answers[-1].headers["etag"]}
        assert httpx.get(f"{url}/card", headers=unchanged, timeout=60).status_code == 304

        desk = open_page(url, refusals=True)
        desk.page.fill("#key", secret)
        desk.page.keyboard.press("Enter")
        expect(desk.page.locator("#model")).to_contain_text("deposit-v7")
        card, messages = opened(desk)

        expect(card.locator("h1")).to_have_text("Model card: deposit-v7")
        assert messages == []


def test_what_the_service_refuses_is_reported_beside_the_button(open_page: Open, site: str) -> None:
    desk = open_page(site, refusals=True)
    refusal = {"detail": [{"row": None, "field": None, "message": "deposit-v1 has no model card"}]}
    desk.page.route("**/card", lambda route: route.fulfill(status=404, json=refusal))

    desk.page.click("#card")

    expect(desk.page.locator("#card-problem")).to_contain_text("has no model card")
