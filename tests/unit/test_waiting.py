from collections.abc import Iterator

import pytest

from deposit.errors import ConfigError, DepositError, LoginError, UpstreamError
from deposit.waiting import Unchanged, retry_while_down, wait_until


def test_what_does_not_come_is_given_as_it_was_seen_last() -> None:
    counts: Iterator[int] = iter(range(1000))
    last = wait_until(lambda: next(counts), seconds=0.05, pause=0.01, is_enough=lambda count: count > 900)
    assert 0 < last < 900
    assert next(counts) == last + 1


def test_what_is_there_is_not_waited_for() -> None:
    looks: list[None] = []
    assert wait_until(lambda: looks.append(None) or len(looks), seconds=60, pause=60) == 1


def test_a_server_that_comes_back_is_tried_until_it_works() -> None:
    failures = [UpstreamError("down"), UpstreamError("still down")]

    def attempt() -> str:
        if failures:
            raise failures.pop()
        return "up"

    assert retry_while_down(attempt, seconds=60, pause=0) == "up"


def test_of_a_server_that_stays_down_the_last_error_is_raised() -> None:
    attempts: list[None] = []

    def attempt() -> None:
        attempts.append(None)
        raise UpstreamError(f"down at attempt {len(attempts)}")

    with pytest.raises(UpstreamError) as caught:
        retry_while_down(attempt, seconds=0.05, pause=0.01)
    assert str(caught.value) == f"down at attempt {len(attempts)}"
    assert len(attempts) > 1


@pytest.mark.parametrize("kind", [ConfigError, LoginError])
def test_what_waiting_does_not_cure_is_raised_at_once(kind: type[DepositError]) -> None:
    attempts: list[None] = []

    def attempt() -> None:
        attempts.append(None)
        raise kind("wrong for good")

    with pytest.raises(kind):
        retry_while_down(attempt, seconds=60, pause=60)
    assert len(attempts) == 1


def test_how_long_something_is_as_it_is_counts_anew_with_each_change() -> None:
    times = iter([0.0, 10.0, 10.0, 14.0, 15.0, 15.0, 15.0])
    last = Unchanged(lambda: next(times))
    assert [last.seconds(each) for each in ("one", "one", "two")] == [0, 4, 0]
