import csv
import io
import json
import lzma
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, expect, sync_playwright
from served import Service

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.settings import REPOSITORY, Settings

# English as the tests read it, whatever machine this is
LOCALE = "en-GB"
EVERY = 8
RELEASE = {
    "created": "2026-11-23T04:35:18+00:00",
    "metrics": {
        "roc_auc": 0.703, "roc_auc_low": 0.692, "roc_auc_high": 0.713, "roc_auc_month_mean": 0.6681,
        "roc_auc_month_mean_month_low": 0.635, "roc_auc_month_mean_month_high": 0.7042,
        "profit": 18994.4, "profit_month_low": 14260.0, "profit_month_high": 24204.0, "profit_call_everyone": 19512.0,
        "profit_random": 17576.0, "deposit_value": 10.0, "call_cost": 1.0,
    },
}  # fmt: skip
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
_NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
"""Chromium drops all connections, loopback's too, when an interface of the machine comes or goes, as Docker's do."""


class Desk:
    """The page as a person uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def upload(self, content: str | bytes, name: str = "list.csv") -> None:
        data = content if isinstance(content, bytes) else content.encode()
        self.page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": data})
        self.page.click("#rank")

    def wait_ranked(self) -> None:
        expect(self.page.locator("#result-title")).to_be_focused(timeout=20_000)

    def plan(self, calls: int) -> None:
        self.page.fill("#calls", str(calls))
        self.page.keyboard.press("Tab")

    def column(self, name: str) -> list[str]:
        heads = self.page.locator("#table thead th").all_inner_texts()
        return self.page.locator(f"#table tbody td:nth-child({heads.index(name) + 1})").all_inner_texts()

    def head(self, name: str) -> Any:
        return self.page.locator("#table thead button", has_text=re.compile(f"^{re.escape(name)}$"))

    def saved(self, button: str) -> bytes:
        with self.page.expect_download() as waiting:
            self.page.click(button)
        return Path(waiting.value.path()).read_bytes()

    def saved_rows(self, button: str = "#download") -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.saved(button).decode("utf-8-sig")), delimiter=";"))


@pytest.fixture(scope="session")
def real_rows() -> list[list[Any]]:
    """Rows from all of the real file, in the order of NAMES, with the label last: enough to rank by."""
    types = [str if isinstance(column, Category) else int if column.integer else float for column in FEATURES]
    with lzma.open(REPOSITORY / "data" / "bank-additional-full.csv.xz", "rt") as file:
        lines = list(csv.DictReader(file, delimiter=";"))[::EVERY]
    return [
        [*(kind(line[name]) for kind, name in zip(types, NAMES, strict=True)), line["y"] == "yes"] for line in lines
    ]


@pytest.fixture(scope="session")
def make_model(make_model: Callable[..., Any], real_rows: list[list[Any]]) -> Callable[..., Any]:
    """Small models that rank as real ones do, with a date, an interval and a card."""
    import xgboost
    from made_card import CARD

    from deposit.model.artifact import Parity
    from deposit.training.card_page import to_page

    def make(folder: Path, **options: Any) -> Any:
        artifact = make_model(folder, **options)
        values = [row[:-1] for row in real_rows]
        matrix = xgboost.DMatrix(artifact.encoder.encode_rows(values), [float(row[-1]) for row in real_rows])
        scorer = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.2, "nthread": 1}, matrix, 40)
        artifact = replace(artifact, scorer=scorer, shift=0.0)
        sample = values[:200]
        expected = artifact.probabilities(artifact.encoder.encode_rows(sample)).tolist()
        artifact = replace(artifact, parity=Parity(sample, expected))
        artifact.save(folder)
        file = folder / "release.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **RELEASE}))
        (folder / "card.html").write_text(to_page(CARD))
        return artifact

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium without a screen, the system's own."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("there is no chromium: run `make chromium`, or install your system's package of that name")
    with sync_playwright() as playwright:
        # as root Chromium has no sandbox; what it opens here is our own page
        options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=executable, args=options)
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


def _load(page: Page, url: str, messages: list[str]) -> None:
    page.goto(url)
    while any(_NETWORK_CHANGED in message for message in messages):
        messages[:] = [message for message in messages if _NETWORK_CHANGED not in message]
        page.reload()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Desk]]:
    """Opens pages that may reach nothing but 127.0.0.1 and must leave the browser's console empty.

    With `refusals`, the console may tell of answers that are no success: it does so by itself. Addresses that match a
    pattern of `routes` are answered by the test.
    """
    messages: list[str] = []
    contexts = []

    def guard(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            messages.append(f"asked for {request.url}")

    def open_(
        url: str,
        refusals: bool = False,
        ready: str = "#fields label",
        routes: Mapping[str, Callable[[Route], None]] | None = None,
        **options: Any,
    ) -> Desk:
        def listen(message: ConsoleMessage) -> None:
            if not (refusals and _REFUSED.match(message.text)):
                messages.append(message.text)

        context = browser.new_context(locale=LOCALE, reduced_motion="reduce", **options)
        contexts.append(context)
        context.on("request", guard)
        for pattern, answer in (routes or {}).items():
            context.route(pattern, answer)
        page = context.new_page()
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("console", listen)
        _load(page, url, messages)
        page.wait_for_selector(ready)
        return Desk(page)

    yield open_
    for context in contexts:
        context.close()
    assert messages == []


@pytest.fixture
def rows(customers: list[dict[str, Any]]) -> str:
    """A list of 80 real customers, as a spreadsheet would save it."""
    written = io.StringIO()
    table = csv.writer(written, delimiter=";")
    table.writerow(["id", *NAMES])
    table.writerows([f"K{number}", *customer.values()] for number, customer in enumerate(customers[:80]))
    return written.getvalue()
