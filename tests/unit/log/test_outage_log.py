import logging

import pytest

from deposit.log.shipper import OutageLog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_outage_is_one_line_with_its_reason_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    journal = OutageLog(clock)
    with caplog.at_level(logging.INFO):
        pauses = [journal.on_failure(OSError("refused\nsecond line")) for _ in range(8)]
        clock.now = 63.0
        journal.on_success(5, 1000)
        journal.on_success(5, 995)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 5.0)
    outage, recovery = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "refused" in outage
    assert "second line" not in outage
    assert "63 s; 1000 rows wait" in recovery


def test_the_next_outage_is_reported_again_and_tried_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    journal = OutageLog(Clock())
    for _ in range(2):
        journal.on_failure(OSError())
        assert journal.on_failure(OSError()) == 1.0
        journal.on_success(0, 0)
    assert len(caplog.records) == 4


def test_work_is_reported_once_a_minute_and_idleness_not(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    journal = OutageLog(clock)
    with caplog.at_level(logging.INFO):
        for second in range(150):
            clock.now = float(second)
            journal.on_success(10, 0)
        for second in range(150, 400):
            clock.now = float(second)
            journal.on_success(0, 0)
    assert [record.message.split(" in ")[0] for record in caplog.records] == [
        "shipped 610 rows",
        "shipped 600 rows",
        "shipped 290 rows",
    ]
