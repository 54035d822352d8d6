"""What the docs point to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data/README.md", ROOT / "bento/README.md"]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_its_files_and_tests_are_there(page: Path) -> None:
    text = page.read_text()
    links = [page.parent / link for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    named = [page.parent / path for path in re.findall(r"`(serving/[\w./-]+)`", text)]
    named += [ROOT / path for path in re.findall(r"`((?:plugins|bento|tests|dags|grafana|docker)/[\w./-]+)`", text)]
    assert [str(path) for path in (*links, *named) if not path.exists()] == []
    assert set(re.findall(r"`(test_\w+)`", text)) <= TESTS
