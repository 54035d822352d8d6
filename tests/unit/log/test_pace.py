import pytest

from deposit.log.pace import FILLED, LATEST_SECONDS, LONGEST_REST, REST, Pace
from deposit.log.spool import SpoolState
from deposit.sections import LogSettings

LOG = LogSettings(ship_rows=20_000, poll_seconds=1.0, spool_max_bytes=2**30)
NOW = 1_000_000.0


class _Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _spool(rows: int, *, shipped: int = 0, age: float = 1.0, size: int = 0, aside: int = 0) -> SpoolState:
    return SpoolState(rows, rows, NOW - age if rows else None, shipped, size, aside)


def _rest(*states: SpoolState, turn: float = 0.3) -> float:
    """What follows the last of these turns."""
    clock = _Clock()
    pace = Pace(LOG, clock, lambda: NOW)
    rest = 0.0
    for state in states:
        pace.begin()
        clock.seconds += turn
        rest = pace.rest(state)
    return rest


@pytest.mark.parametrize("rows", [0, 1, 9_999])
def test_little_traffic_is_polled_as_often_as_it_is_set(rows: int) -> None:
    assert _rest(_spool(0), _spool(rows, shipped=rows)) == LOG.poll_seconds


def test_in_a_burst_shipping_has_a_third_of_the_time() -> None:
    burst = _spool(30_000), _spool(60_000, shipped=20_000)
    assert _rest(*burst, turn=0.3) == pytest.approx(0.3 * REST)
    assert 0.3 / (0.3 + _rest(*burst, turn=0.3)) == pytest.approx(1 / 3)
    assert _rest(*burst, turn=60) == LONGEST_REST


def test_once_the_burst_is_over_the_rest_is_shipped_without_a_pause() -> None:
    burst = _spool(30_000), _spool(60_000, shipped=20_000)
    assert _rest(*burst, _spool(40_000, shipped=40_000)) == 0
    # what a few still ask is no burst
    assert _rest(*burst, _spool(49_999, shipped=40_000)) == 0
    assert _rest(*burst, _spool(50_000, shipped=40_000)) > 0


def test_no_entry_waits_longer_for_it_than_half_a_minute() -> None:
    burst = _spool(30_000), _spool(60_000, shipped=20_000)
    assert _rest(*burst, _spool(90_000, shipped=40_000, age=LATEST_SECONDS)) > 0
    assert _rest(*burst, _spool(90_000, shipped=40_000, age=LATEST_SECONDS + 0.1)) == 0


def test_a_spool_that_fills_is_emptied_without_a_pause() -> None:
    burst, quarter = _spool(30_000), int(FILLED * LOG.spool_max_bytes)
    assert _rest(burst, _spool(60_000, shipped=20_000, size=quarter)) > 0
    assert _rest(burst, _spool(60_000, shipped=20_000, size=quarter + 1)) == 0


def test_what_an_outage_has_left_is_shipped_without_a_pause() -> None:
    assert _rest(_spool(1_000_000)) == 0


def test_what_is_set_aside_or_waits_again_did_not_just_come() -> None:
    assert _rest(_spool(30_000, aside=50_000), _spool(60_000, shipped=20_000)) == 0
