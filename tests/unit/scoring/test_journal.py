from pathlib import Path

import pytest

from deposit.errors import ConfigError
from deposit.scoring.inputs import InputFile
from deposit.scoring.journal import Journal, PartDone, RunDone, ScorePlan

PLAN = ScorePlan(
    run_id="0" * 32, output="/out", inputs=(InputFile("/in/a.csv", 5, "1", {"month": "may"}),), model_id="deposit-v1",
    deposit_value=10.0, call_cost=1.0, period="", is_logged=False, event_time=7,
)  # fmt: skip
RUN = RunDone(source=0, end=9, rows=9, rejected=1, expected_subscriptions=0.1, worth_calling=2, quarantine="")
PART = PartDone(name="part-00000.parquet", rows=8, size=100, sha256="f" * 64, first_rank=1, last_rank=8)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for entry in (PLAN, RUN, RUN, PART):
        journal.add(entry)
    again = Journal(tmp_path / "journal")
    assert (again.plan, again.runs, again.parts) == (PLAN, [RUN, RUN], [PART])


def test_a_line_that_was_not_finished_is_as_if_never_begun(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path).add(PLAN)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"run","source":0,"e')
    journal = Journal(path)
    assert (journal.plan, journal.runs) == (PLAN, [])
    journal.add(RUN)
    assert Journal(path).runs == [RUN]


def test_a_damaged_one_says_how_to_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"nonsense\n")
    with pytest.raises(ConfigError, match="--restart"):
        Journal(tmp_path / "journal")


def test_a_plan_says_in_words_what_another_does_otherwise() -> None:
    fields = {name: getattr(PLAN, name) for name in PLAN.__struct_fields__}
    other = ScorePlan(**{**fields, "model_id": "deposit-v2", "call_cost": 2.0, "run_id": "1" * 32, "event_time": 8})
    assert PLAN.differences(other) == ["the model", "the cost of a call"]
    assert PLAN.differences(ScorePlan(**{**fields, "run_id": "1" * 32, "event_time": 8})) == []
