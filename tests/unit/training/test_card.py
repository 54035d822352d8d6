"""A card's two forms: all of its figures, nothing that a name smuggles in, nothing that needs script or style."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from made_card import CARD, HOSTILE, figures, metric, piece
from markdown_it import MarkdownIt

from deposit.errors import IntegrityError
from deposit.training.card import ModelCard, parse_card
from deposit.training.card_document import to_markdown
from deposit.training.card_page import to_page
from deposit.training.slices import Estimate, Slices


class Seen(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def cells(markdown: str, first: str) -> list[str]:
    row = next(line for line in markdown.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_figures_and_cards_come_back_from_json_with_gaps_where_nothing_was_measured() -> None:
    assert figures().curve[1].roc_auc is None
    assert figures().slices.groups[0].precision == Estimate(None, None, None)
    assert figures().metrics["log_loss"] == metric(0.5)
    card = parse_card(msgspec.json.encode(CARD))
    assert card.history == CARD.history
    assert to_markdown(card) == to_markdown(CARD)
    for content in (b"{}", b"[", b"\xff"):
        with pytest.raises(IntegrityError):
            parse_card(content)


def test_the_markdown_has_the_figures() -> None:
    text = to_markdown(CARD)
    assert cells(text, "2009-04") == ["2009-04", "615", "19.0%", "0.622", "0.523", "326", "555"]
    assert cells(text, "2009-05")[3] == "-"
    assert cells(text, "job | admin.")[2:5] == [
        "1,234",
        "0.660 (0.600 to 0.700)",
        "**-0.050 (-0.080 to -0.020) \u2020**",
    ]
    assert "1 of 2 groups have such a difference" in text
    assert "not shown: 2 of job." in text
    assert cells(text, "deposit-v3")[1:5] == ["4", "2009-05 to 2009-08", "12,345", "0.660"]
    assert cells(text, "Log loss | 0.500 | 0.450")[3:] == ["xgboost", "0.050"]
    assert cells(text, "Profit of the model's calls | 3,467 | 3,500")[3:] == ["rates", "33.000"]
    for words in (
        "Not for credit decisions",
        "Contacted customers only",
        "last call",
        "When to withdraw it",
    ):
        assert words in text


def test_before_a_release_the_card_says_that_its_history_is_to_come() -> None:
    text = to_markdown(ModelCard(figures=figures()))
    assert text.startswith("# Model card: mixture\n")
    assert "added when this model is first released" in text
    assert "No model served before deposit-v1" in to_markdown(ModelCard(figures=figures(), model_id="deposit-v1"))


def test_what_a_name_or_a_reason_holds_is_text() -> None:
    card = ModelCard(
        figures=figures(
            contributions={"<b>age</b>": 0.5},
            slices=Slices(piece("", "all calls"), (piece("job", "<img src=x>|*"),), {}),
        ),
        model_id="deposit-v7",
        why=HOSTILE,
        history=CARD.history,
    )
    for page in (to_page(card), MarkdownIt("commonmark").enable("table").render(to_markdown(card))):
        seen = Seen(page)
        assert {"script", "img", "a", "b"}.isdisjoint({tag for tag, _ in seen.tags})
        assert "<script>alert(1)</script> | *bold* [link](javascript:x) # heading" in seen.text
        assert "<img src=x>|*" in seen.text
    assert to_markdown(card).count("\n# ") == 0


def test_the_page_needs_nothing_and_has_one_stylesheet() -> None:
    page = to_page(CARD)
    seen = Seen(page)
    assert [tag for tag, _ in seen.tags if tag == "style"] == ["style"]
    assert {"script", "link", "img", "iframe", "a"}.isdisjoint({tag for tag, _ in seen.tags})
    assert [attributes for _, attributes in seen.tags if "style" in attributes] == []
    assert [name for _, attributes in seen.tags for name in attributes if name.startswith("on")] == []
    assert re.search(r"url\(|@import|https?:", page) is None
    assert sum(tag == "table" for tag, _ in seen.tags) == sum(
        attributes.get("class") == "scroll" for _, attributes in seen.tags
    )


def test_every_chart_is_whole_and_says_what_it_shows() -> None:
    charts = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", to_page(CARD), re.DOTALL)]
    assert len(charts) == 5
    assert all(chart.get("aria-label") for chart in charts)
    assert "nan" not in to_page(CARD)


def test_a_history_too_short_to_measure_makes_a_card() -> None:
    bare = figures(
        curve=(), members=(), calibration=(), contributions={}, metrics={}, slices=Slices(piece("", "all"), (), {})
    )
    assert "None of 0 groups" in to_markdown(ModelCard(figures=bare))
    assert to_page(ModelCard(figures=bare)).endswith("</html>\n")
