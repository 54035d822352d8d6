from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from deposit.events import TimelineEntry
from deposit.model.worth import Worth
from deposit.monitoring.earnings import MonthWorth
from deposit.monitoring.status import PeriodAssessment, PeriodStatus
from deposit.overview.contenders import Contender, Contenders
from deposit.overview.markup import ASSETS, page
from deposit.overview.monthly import Figure, ModelAge, by_registered_model
from deposit.overview.snapshot import Backlog, Recorded, Snapshot
from deposit.overview.triggers import Trigger
from deposit.release.leases import Lease
from deposit.release.repository import Release

NOW = datetime(2026, 5, 17, 2, 3, tzinfo=UTC)
LIVE = Release(7, "release", "deposit-v7", "better", "t", "u", "0" * 64, "live", "", "process", None, NOW, NOW)
DECAYED = PeriodAssessment(
    "2026-04", "deposit-v7", PeriodStatus.PERFORMANCE_DEGRADED, "It <b>decays</b>", 12_345, NOW, reported=True
)
STEP = TimelineEntry(NOW, "release", "deposit-v7", "live", NOW, "better", "", "process", 7)
STORED = Recorded(LIVE, None, None, None, [STEP], [DECAYED], [], {}, None)
CHAMPION = Contenders(Contender("deposit-v7", reason="it won"))
APRIL = MonthWorth("2026-04", "deposit-v7", Worth(100.0, 70.0, 130.0, 90.0, 40.0, 150.0, 300.0))


def shown(
    contenders: Contenders | None = CHAMPION, *faults: str, triggers: list[Trigger] | None = None, **of: object
) -> str:
    recorded = replace(STORED, **of)  # type: ignore[arg-type]
    return unescape(page(Snapshot("deposit", contenders, recorded, faults), triggers or [], {}, NOW))


def test_it_tells_what_serves_and_why_what_was_seen_and_what_was_done() -> None:
    html = page(Snapshot("deposit", CHAMPION, STORED), [], {"MLflow": "http://here:5"}, NOW)
    for words in ("deposit-v7 is live", "Since 2026-05-17 02:03 UTC", "<strong>Why:</strong> it won.", ">decay</span>",
                  "12,345", 'href="reports/2026-04/deposit-v7"', '">better</td>', 'href="cards/deposit-v7"',
                  'href="http://here:5"'):  # fmt: skip
        assert words in html
    assert "It &lt;b&gt;decays" in html
    assert "It is not live" not in html


def test_a_release_that_failed_shows_both_its_reasons() -> None:
    assert "better; parity is off" in shown(timeline=[replace(STEP, state="failed", reason="parity is off")])


def test_a_champion_that_does_not_serve_is_named() -> None:
    assert "It is not live: release it" in shown(Contenders(Contender("deposit-v8")))
    borrowed = shown(lease=Lease(1, "replay", 7, NOW, None), live=replace(LIVE, model_id="replay-v2"))
    assert "replay has had production's traffic since 2026-05-17 02:03 UTC, and gives it back when it ends" in borrowed
    assert "release it" not in borrowed


def test_a_report_that_was_not_written_is_not_linked() -> None:
    assert 'href="reports/' not in shown(verdicts=[replace(DECAYED, reported=False)])


def test_before_anything_has_happened_it_says_what_to_do() -> None:
    html = shown(Contenders(None), live=None, timeline=[], verdicts=[])
    for words in ("No model is live", "trigger deposit_ingest", "deposit_monitor makes them every night",
                  "No month has been monitored yet", "The shipper has not reported yet"):  # fmt: skip
        assert words in html
    assert 'href="cards/' not in html


def test_it_is_there_though_both_servers_are_away() -> None:
    html = page(Snapshot("deposit", None, None, ("MLflow is away", "PostgreSQL is away")), [], {}, NOW)
    for words in ("MLflow is away", "PostgreSQL is away", "The live model is not known", 'id="runs"'):
        assert words in html


@pytest.mark.parametrize(
    ("months", "words", "state"),
    [
        (1, "1 month since its last training month; stale after 3", "fresh"),
        (4, "4 months since its last training month, more than 3: its responses are marked as stale", "stale"),
        (7, "7 months since its last training month, more than 6: the rate table takes its place", "expired"),
    ],
)
def test_the_age_of_what_serves_is_reported(months: int, words: str, state: str) -> None:
    html = shown(age=ModelAge(months, 3, 6))
    assert words in html
    assert f"<dd>{state}</dd>" in html
    assert "age is not known yet" in shown()


@pytest.mark.parametrize(
    ("backlog", "words", "bad"),
    [
        (Backlog(NOW, 0, 0.0, 0), "Nothing waits, reported 2026-05-17 02:03 UTC", False),
        (Backlog(NOW, 1200, 90.0, 0), "The oldest has waited 90 s", False),
        (Backlog(NOW, 1200, 600.0, 0), "The oldest has waited 10 min: see the shipper's log", True),
        (Backlog(NOW - timedelta(minutes=3), 0, 0.0, 0), "No report from the shipper since 2026-05-17 02:00 UTC", True),
        (Backlog(NOW, 0, 0.0, 7), "7 rows were set aside", True),
    ],
)
def test_what_waits_for_postgresql_is_reported(backlog: Backlog, words: str, bad: bool) -> None:
    html = shown(backlog=backlog, verdicts=[])
    assert words in html
    assert f"<dd>{backlog.rows:,} <small>rows waiting" in html
    assert ('<div class="bad">' in html) is bad


def test_a_replay_is_apart_from_production() -> None:
    replayed = replace(DECAYED, model_id="replay-v3", period="2010-05", reported=False)
    figures = by_registered_model([Figure("2010-05", "replay-v3", "rows", "", 10.0)], None)
    step = replace(STEP, model_id="replay-v3", release_id=99)
    html = shown(verdicts=[DECAYED, replayed], figures=figures, timeline=[STEP, step])
    production, _, apart = html.partition("Not production: replay")
    for text in ("2010-05", "<td>99</td>"):
        assert text in apart
        assert text not in production
    assert "No month has been monitored yet" in production


def test_a_run_that_failed_is_productions() -> None:
    failure = replace(STEP, kind="failure", model_id="", release_id=None, state="noted", why="deposit_train failed")
    assert "<td>failure</td>" in shown(timeline=[failure]).partition("Not production")[0]


def test_what_the_last_months_were_worth_is_a_sentence_and_a_table() -> None:
    may = replace(APRIL, period="2026-05", worth=replace(APRIL.worth, profit=1200.0, low=1160.0, high=1240.0))
    html = shown(worths=[may, APRIL])
    assert (
        "From 2026-04 to 2026-05, choosing by the model earned 1,300 (95 %: 1,250 to 1,350; its probabilities promised "
        "180), calling everyone 300, nobody 0, as many at random 80, knowing the answers 600.</p>"
    ) in html
    assert "<td>1,200</td><td>1,160 to 1,240</td>" in html
    assert "Rate table" not in html
    rated = shown(worths=[replace(APRIL, worth=replace(APRIL.worth, rates=44.0))])
    assert "Rate table" in rated
    assert "<td>44</td>" in rated
    assert "calling everyone earned more than choosing" in shown(worths=[APRIL])
    assert "with at most 500 calls a month" in shown(
        worths=[replace(APRIL, worth=replace(APRIL.worth, capacity=500.0))]
    )
    assert "Not known yet" in shown()


def test_there_are_the_buttons_that_one_may_press_and_no_others() -> None:
    train = Trigger("train", "deposit_train", "Train", "Trains.", conf={"dataset": "a'\"<b"})
    html = page(Snapshot("deposit", CHAMPION, STORED), [train], {}, NOW)
    assert html.count("<dialog") == html.count("data-opens=") == 1
    assert 'data-dag="deposit_train"' in html
    assert "a'\"<b" not in html
    assert "<dialog" not in shown()


def test_what_a_model_is_called_never_becomes_markup() -> None:
    name = "</script><script>alert(1)</script>-v1"
    figures = by_registered_model([Figure("2010-05", name, "rows", "", 1.0)], None)
    html = page(Snapshot("deposit", CHAMPION, replace(STORED, figures=figures)), [], {}, NOW)
    assert "<script>alert" not in html


def test_every_file_that_the_page_asks_for_is_there() -> None:
    assert {path.is_file() for path in ASSETS.values()} == {True}
    html = page(Snapshot("deposit", CHAMPION, STORED), [], {}, NOW)
    asked = {part.partition('"')[0] for part in html.split('"assets/')[1:]}
    assert len(asked) == 5
    assert asked <= set(ASSETS)
    assert "style=" not in html
