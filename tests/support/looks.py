"""How a page is looked at: sizes and colour schemes, and what axe has against it."""

from typing import Any

from playwright.sync_api import Page

from deposit.settings import REPOSITORY

AXE = (REPOSITORY / "tests" / "page" / "vendor" / "axe.min.js").read_text()
LOOKS: dict[str, dict[str, Any]] = {
    "page": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "page-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "page-phone": {"viewport": {"width": 360, "height": 800}, "color_scheme": "light"},
    "page-phone-dark": {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark"},
}


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Rules of axe that the page breaks, each with the elements that do."""
    page.evaluate(AXE)
    broken = page.evaluate("axe.run(document).then((done) => done.violations)")
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in broken]
