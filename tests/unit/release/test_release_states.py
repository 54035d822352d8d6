import math

import pytest

from deposit.errors import ReleaseError
from deposit.release.checks import largest_difference, most_at_once
from deposit.release.repository import BUILDING, FAILED, LIVE, PENDING, REQUESTED, RETIRED, TESTING, check_step
from deposit.sections import ServeSettings

STATES = {REQUESTED, BUILDING, TESTING, LIVE, RETIRED, FAILED}


@pytest.mark.parametrize(
    ("before", "after"), [(REQUESTED, BUILDING), (BUILDING, TESTING), (TESTING, LIVE), (LIVE, RETIRED)]
)
def test_the_way_to_live_and_out(before: str, after: str) -> None:
    check_step(before, after)


@pytest.mark.parametrize("before", PENDING)
def test_what_is_under_way_may_fail_or_start_again(before: str) -> None:
    check_step(before, FAILED)
    check_step(before, BUILDING)


@pytest.mark.parametrize("before", [RETIRED, FAILED])
@pytest.mark.parametrize("after", sorted(STATES))
def test_what_is_over_stays_so(before: str, after: str) -> None:
    with pytest.raises(ReleaseError, match="cannot become"):
        check_step(before, after)


@pytest.mark.parametrize("before", [REQUESTED, BUILDING, LIVE])
def test_nothing_untested_goes_live(before: str) -> None:
    with pytest.raises(ReleaseError):
        check_step(before, LIVE)


def test_the_largest_difference_counts_nan_as_infinite() -> None:
    assert largest_difference([0.1, 0.5], [0.1, 0.4]) == pytest.approx(0.1)
    assert largest_difference([0.1, math.nan], [0.1, 0.4]) == math.inf


@pytest.mark.parametrize(
    ("limits", "most"),
    [({}, 500), ({"max_customers": 3}, 3), ({"max_body_bytes": 4096}, 4), ({"max_body_bytes": 1024}, 1)],
)
def test_the_stacks_own_clients_ask_for_no_more_than_the_service_takes(limits: dict[str, int], most: int) -> None:
    assert most_at_once(ServeSettings(**limits)) == most
