from dataclasses import replace
from datetime import UTC, datetime

from deposit.overview.contenders import Contender, Contenders
from deposit.overview.snapshot import Recorded, Snapshot
from deposit.overview.triggers import triggers_for
from deposit.registry.tags import GateOutcome
from deposit.release.leases import Lease
from deposit.release.repository import Release

NOW = datetime(2026, 5, 17, tzinfo=UTC)
LIVE = Release(7, "release", "deposit-v7", "better", "t", "u", "0" * 64, "live", "", "process", None, NOW, NOW)
STORED = Recorded(LIVE, replace(LIVE, id=6, model_id="deposit-v6", state="retired"), None, None, [], [], [], {}, None)
MODELS = Contenders(Contender("deposit-v7"), (Contender("deposit-v8", GateOutcome.REFUSED), Contender("deposit-v7")))


def test_each_button_runs_a_dag_and_rollback_says_what_it_brings_back() -> None:
    offered = {each.key: each for each in triggers_for(Snapshot("deposit", MODELS, STORED))}
    assert {key: each.dag for key, each in offered.items()} == {
        "train": "deposit_train",
        "release": "deposit_release",
        "rollback": "deposit_release",
        "monitor": "deposit_monitor",
    }
    assert offered["rollback"].conf == {"rollback": True}
    assert "deposit-v6 back into production in place of deposit-v7" in offered["rollback"].sentence


def test_a_challenger_can_be_released_by_its_id() -> None:
    release = next(each for each in triggers_for(Snapshot("deposit", MODELS, STORED)) if each.key == "release")
    assert release.field is not None
    assert [(each.value, each.text) for each in release.field.choices] == [
        ("deposit-v8", "refused"),
        ("deposit-v7", "champion"),
    ]


def test_without_something_to_roll_back_to_there_is_no_such_button() -> None:
    first = Snapshot("deposit", None, replace(STORED, previous=None))
    borrowed = replace(STORED, lease=Lease(1, "replay", 7, NOW, None))
    left = replace(STORED, live=replace(LIVE, model_id="replay-v9"))
    snapshots = [first, *(Snapshot("deposit", None, recorded) for recorded in (borrowed, left, None))]
    for snapshot in snapshots:
        assert "rollback" not in {each.key for each in triggers_for(snapshot)}
