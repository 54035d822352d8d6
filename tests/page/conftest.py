import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from served import Service

from deposit.settings import Settings

# English as the tests read it, whatever machine this is
LOCALE = "en-GB"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium without a screen, the system's own."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("there is no chromium: run `make chromium`, or install your system's package of that name")
    with sync_playwright() as playwright:
        # as root Chromium has no sandbox; what it opens here is our own page
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(bento: Path, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], int]) -> Iterator[str]:
    """URL of a real service that asks for no key."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("site"))
    service = Service(bento, settings, free_ports(1))
    service.start()
    yield f"http://127.0.0.1:{service.port}"
    service.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that may reach nothing but 127.0.0.1 and must leave the browser's console empty."""
    said: list[str] = []
    opened: list[Page] = []

    def guard(route: Route) -> None:
        if not route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            said.append(f"asked for {route.request.url}")
        route.continue_()

    def open_(url: str, expected_errors: bool = False, **options: Any) -> Page:
        page = browser.new_page(locale=LOCALE, **options)
        opened.append(page)
        page.route("**/*", guard)
        page.on("pageerror", lambda error: said.append(str(error)))
        if not expected_errors:  # the console tells of each answer that is no success
            page.on("console", lambda message: said.append(message.text))
        page.goto(url)
        page.wait_for_selector("#fields label", timeout=8000)
        return page

    yield open_
    for page in opened:
        page.close()
    assert said == []
