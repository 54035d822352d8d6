import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.servers

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
P, Q = uuid.UUID(int=1), uuid.UUID(int=2)


def _at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def _current(log: Any) -> dict[uuid.UUID, bool]:
    return dict(log.ask("SELECT prediction_id, subscribed FROM current_outcomes"))


def _history(log: Any) -> list[bool]:
    return [subscribed for (subscribed,) in log.ask("SELECT subscribed FROM outcomes ORDER BY at, id")]


@pytest.fixture(params=[True, False], ids=["one batch", "a batch each"])
def say(request: pytest.FixtureRequest, log: Any, stated: Callable[..., Any]) -> Callable[..., None]:
    """States outcomes one after the other, one a request: (subscribed, at or None, minute of its receipt)."""

    def say(*statements: tuple[bool, datetime | None, float]) -> None:
        for subscribed, at, received in statements:
            log.append(stated((P, subscribed, at), received=_at(received)))
            if not request.param:
                log.ship()
        log.ship()

    return say


def test_an_outcome_is_kept_with_who_said_it_and_when(log: Any, say: Callable[..., None]) -> None:
    say((True, _at(-60.5), 0))
    assert log.ask("SELECT prediction_id, subscribed, at, received_at, client, request_id FROM current_outcomes") == [
        (P, True, _at(-60.5), NOON, "branch", "r-3")
    ]


def test_without_a_time_it_counts_from_its_receipt(log: Any, say: Callable[..., None]) -> None:
    say((True, None, 0))
    assert log.ask("SELECT at, received_at FROM outcomes") == [(NOON, NOON)]


@pytest.mark.parametrize("at", [None, _at(-60)])
def test_the_same_again_adds_nothing(log: Any, say: Callable[..., None], at: datetime | None) -> None:
    say((True, at, 0), (True, at, 1), (True, at, 2))
    assert _history(log) == [True]


def test_a_correction_counts_and_the_history_stays(log: Any, say: Callable[..., None]) -> None:
    say((True, None, 0), (False, None, 1), (False, None, 2), (True, None, 3))
    assert _history(log) == [True, False, True]
    assert _current(log) == {P: True}


def test_what_became_known_later_counts_though_it_came_first(log: Any, say: Callable[..., None]) -> None:
    say((False, _at(-1), 0), (True, _at(-5), 1))
    assert _current(log) == {P: False}
    assert _history(log) == [True, False]


def test_a_correction_of_the_same_time_counts_by_arrival_and_a_repeated_one_is_no_news(
    log: Any, say: Callable[..., None]
) -> None:
    say((True, _at(-5), 0), (False, _at(-5), 1), (True, _at(-5), 2))
    assert _current(log) == {P: False}
    assert len(_history(log)) == 2


def test_a_statement_without_a_time_follows_the_dated_one_before_it(log: Any, say: Callable[..., None]) -> None:
    say((True, _at(-5), 0), (True, None, 1), (False, None, 2))
    assert _history(log) == [True, False]


AHEAD = 9 * 60
END_OF_DAY = _at(12 * 60 - 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((True, _at(AHEAD)), (False, None), id="a clock ahead, then undated"),
        pytest.param((True, _at(AHEAD)), (False, _at(1)), id="a clock ahead, then a right one"),
        pytest.param((True, _at(AHEAD)), (False, _at(AHEAD - 60)), id="two clocks ahead"),
        pytest.param((True, END_OF_DAY), (False, END_OF_DAY), id="the end of the day, twice"),
        pytest.param((True, END_OF_DAY), (False, None), id="the end of the day, then undated"),
        pytest.param((True, None), (False, END_OF_DAY), id="undated, then the end of the day"),
        pytest.param((True, _at(-60)), (False, None), id="dated, then undated"),
        pytest.param((True, None), (False, _at(2)), id="undated, then dated"),
    ],
)
def test_the_later_statement_counts_whatever_lies_ahead(
    log: Any,
    say: Callable[..., None],
    first: tuple[bool, datetime | None],
    second: tuple[bool, datetime | None],
) -> None:
    say((*first, 0), (*second, 2))
    assert _current(log) == {P: False}
    # and none of them is news again
    say((*first, 3) if first[1] else (*second, 3), (*second, 4))
    assert _current(log) == {P: False}
    stored = log.ask("SELECT subscribed, at, received_at FROM outcomes ORDER BY id")
    assert stored == [(True, first[1] or _at(0), _at(0)), (False, second[1] or _at(2), _at(2))]


def test_an_undated_statement_follows_one_that_lay_ahead(log: Any, say: Callable[..., None]) -> None:
    say((True, _at(AHEAD), 0), (True, None, 1), (False, None, 2), (True, None, 3))
    assert [subscribed for (subscribed,) in log.ask("SELECT subscribed FROM outcomes ORDER BY id")] == [
        True, False, True,
    ]  # fmt: skip
    assert _current(log) == {P: True}


def test_a_retry_after_its_correction_changes_nothing(log: Any, say: Callable[..., None]) -> None:
    say((True, _at(AHEAD), 0), (False, _at(AHEAD + 1), 1), (True, _at(AHEAD), 2), (False, _at(AHEAD + 1), 3))
    assert log.count("outcomes") == 2
    assert _current(log) == {P: False}


def test_predictions_do_not_mix(log: Any, stated: Callable[..., Any]) -> None:
    log.append(stated((P, True, None), (Q, False, None), received=NOON))
    log.append(stated((Q, True, None), (P, True, None), received=_at(1)))
    log.ship()
    assert _current(log) == {P: True, Q: True}
    assert log.count("outcomes") == 3


def test_shipping_again_what_was_stored_adds_nothing(log: Any, stated: Callable[..., Any]) -> None:
    answers = enumerate([True, False, False, True])
    statements = [stated((P, subscribed, None), received=_at(minute)) for minute, subscribed in answers]
    for _ in range(3):
        log.append(*statements)
        log.ship()
    assert _history(log) == [True, False, True]


def test_an_outcome_may_come_before_its_prediction(
    log: Any, stated: Callable[..., Any], scored: Callable[..., Any]
) -> None:
    prediction = scored(1)
    log.append(stated((uuid.UUID(bytes=prediction.prediction_ids), True, None), received=NOON))
    log.ship()
    log.append(prediction)
    log.ship()
    joined = "SELECT subscribed FROM predictions JOIN current_outcomes USING (prediction_id)"
    assert log.ask(joined) == [(True,)]
