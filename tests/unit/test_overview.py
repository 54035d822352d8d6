from dataclasses import replace
from datetime import UTC, datetime

from deposit.events import TimelineEntry
from deposit.model.worth import Worth
from deposit.monitoring.earnings import MonthWorth
from deposit.monitoring.status import PeriodAssessment, PeriodStatus
from deposit.overview import Champion, Overview, page
from deposit.release.repository import Release

NOW = datetime(2026, 5, 17, 2, 3, tzinfo=UTC)
LIVE = Release(7, "release", "deposit-v7", "better", "t", "u", "0" * 64, "live", "", "process", None, NOW, NOW)
DECAYED = PeriodAssessment(
    "2026-04", "deposit-v7", PeriodStatus.PERFORMANCE_DEGRADED, "It <b>decays</b>", 12_345, NOW, reported=True
)
STEP = TimelineEntry(NOW, "release", "deposit-v7", "live", NOW, "better", "", "process", 7)
SEEN = Overview(Champion("deposit-v7", "it won"), LIVE, [STEP], [DECAYED])


def test_it_tells_what_serves_and_why_what_was_found_and_what_was_done() -> None:
    shown = page(SEEN)
    for words in ("deposit-v7 serves since 2026-05-17 02:03 UTC", "The champion is deposit-v7. Why: it won",
                  ">decay</span>", "12,345", 'href="reports/2026-04/deposit-v7"', "<td>better</td>"):  # fmt: skip
        assert words in shown
    assert "It &lt;b&gt;decays" in shown
    assert "deposit_release" not in shown


def test_a_release_that_failed_shows_both_its_reasons() -> None:
    failed = replace(STEP, state="failed", reason="parity is off")
    assert "better; parity is off" in page(replace(SEEN, timeline=[failed]))


def test_a_step_that_releases_nothing_has_no_number() -> None:
    refused = replace(STEP, kind="challenge", state="noted", release_id=None)
    assert "<tr><td></td><td>challenge</td>" in page(replace(SEEN, timeline=[refused]))


def test_a_champion_that_does_not_serve_is_named_with_what_to_do() -> None:
    assert "It does not serve: trigger deposit_release" in page(replace(SEEN, champion=Champion("deposit-v8", "x")))


def test_a_report_that_was_not_written_is_not_linked() -> None:
    assert 'href="reports/' not in page(replace(SEEN, verdicts=[replace(DECAYED, reported=False)]))


def test_what_serves_has_a_link_to_its_card() -> None:
    assert 'href="cards/deposit-v7"' in page(SEEN)
    assert 'href="cards/' not in page(replace(SEEN, live=None))


def test_before_anything_has_happened_it_says_what_to_do() -> None:
    shown = page(Overview(Champion(None), None, [], []))
    for words in ("No model serves", "trigger deposit_ingest", "deposit_monitor makes them every night"):
        assert words in shown


def test_what_the_last_months_were_worth_is_a_sentence_and_a_table() -> None:
    april = MonthWorth("2026-04", "deposit-v7", Worth(100.0, 70.0, 130.0, 90.0, 40.0, 150.0, 300.0))
    may = replace(april, period="2026-05", worth=replace(april.worth, profit=1200.0, low=1160.0, high=1240.0))
    shown = page(replace(SEEN, worths=[may, april]))
    assert (
        "From 2026-04 to 2026-05, choosing by the model earned 1,300 (95 %: 1,250 to 1,350; its probabilities promised "
        "180), calling everyone 300, nobody 0, as many at random 80, knowing the answers 600.</p>"
    ) in shown
    assert "<td>2026-05</td><td>deposit-v7</td><td>1,200</td><td>1,160 to 1,240</td>" in shown
    assert "calling everyone earned more than choosing" in page(replace(SEEN, worths=[april]))
    limited = replace(april, worth=replace(april.worth, capacity=500.0))
    assert "with at most 500 calls a month" in page(replace(SEEN, worths=[limited]))
    assert "Not known yet" in page(SEEN)


def test_what_mlflow_did_not_tell_is_told() -> None:
    assert "MLflow is away" in page(replace(SEEN, champion=Champion(None, error="MLflow is away")))
