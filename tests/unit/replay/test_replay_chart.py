from dataclasses import replace
from datetime import UTC, datetime

from deposit.data.period import parse_period
from deposit.replay.chart import page
from deposit.replay.client import past
from deposit.replay.state import ReplayedMonth

MONTH = ReplayedMonth(
    period="2010-05", model_id="replay-v3", rows=1234, rate=0.4, roc_auc=0.71, lift_10=1.6, profit=120.0,
    profit_call_everyone=90.0, verdict="decay", why="The model <b>decayed</b>", action="replay-v4 released",
)  # fmt: skip


def test_the_page_shows_every_month_and_needs_nothing_from_elsewhere() -> None:
    little = replace(MONTH, period="2010-06", roc_auc=None, lift_10=None, profit=None, profit_call_everyone=None)
    html = page("Replay of 2010-05 to 2010-06", [MONTH, little])
    assert "data:image/png;base64," in html
    assert "<td>2010-05</td>" in html
    assert "<td>2010-06</td><td>replay-v3</td><td>1,234</td><td>0.400</td><td>-</td>" in html
    assert "&lt;b&gt;decayed" in html
    assert "src=http" not in html
    assert "href=" not in html


def test_a_month_is_past_when_its_outcomes_are() -> None:
    span = parse_period("2010-05")
    assert not past(span, datetime(2010, 6, 10, tzinfo=UTC))
    assert past(span, datetime(2010, 6, 22, tzinfo=UTC))
