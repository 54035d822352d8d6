"""A champion that has expired, the rate table in its place, and what comes after it, with a real MLflow."""

from datetime import UTC, datetime

import pytest
from learning import make_champion, published

from deposit.data.period import month_number
from deposit.loop import challenge, replace_expired
from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import RunRole, Tag
from deposit.registry.versions import Version
from deposit.sections import ExpirySettings
from deposit.settings import Settings
from deposit.training.recipes import FALLBACK
from deposit.training.training import train

pytestmark = [
    pytest.mark.servers,
    # MLflow's client leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def aging(own: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("deposit.loop.record_rejection", lambda *_: None)  # there is no database
    return own.model_copy(update={"expiry": ExpirySettings(stale_after=1, replace_after=2)})


def champion(settings: Settings) -> Version:
    version = ModelRegistry(settings).champion()
    assert version is not None
    return version


def test_the_rate_table_takes_over_in_its_month_and_once(aging: Settings, good, rows) -> None:
    make_champion(aging, good)
    before = champion(aging)
    assert replace_expired(aging, "2011-01", good.dataset) is None  # two months old
    taken = replace_expired(aging, "2011-02", good.dataset)

    assert taken is not None
    assert (taken.champion_before, taken.is_champion) == (before.model_id, True)
    now = champion(aging)
    assert now.model_id == taken.model_id != before.model_id
    models = ModelRegistry(aging)
    model = models.load(now)
    assert dict(model.scorer.weights) == {FALLBACK.name: 1.0}
    assert (model.metadata.train_end, model.metadata.dataset) == ("2010-11", good.dataset)
    assert models.tags_of(now)[Tag.GATE] == "fallback"
    assert [each.version for each in models.versions() if "previous" in each.aliases] == [before.version]
    assert replace_expired(aging, "2011-02", good.dataset) is None
    assert replace_expired(aging, "2031-02", good.dataset) is None  # as old as its labels, and nothing is newer
    assert champion(aging) == now


def test_the_rate_table_follows_the_labels_until_another_passes(aging: Settings, good, few_recipes, rows) -> None:
    early = train(aging.changed("train", trials=1), published(aging, rows[rows["period"] < "2010-03"]))
    make_champion(aging, early)
    first = replace_expired(aging, "2010-07", early.dataset)
    assert first is not None
    middle = published(aging, rows[rows["period"] < "2010-07"])
    second = replace_expired(aging, "2010-07", middle)
    assert second is not None
    assert second.champion_before == first.model_id
    assert ModelRegistry(aging).load(champion(aging)).metadata.train_end == "2010-06"

    selected = challenge(aging, good.run_id)
    assert selected.champion_before == second.model_id
    assert selected.criteria  # held against the rate table, by the gate
    newest = replace_expired(aging, "2010-12", good.dataset)
    assert (newest is None) == selected.is_champion


def test_what_has_expired_does_not_come_back_while_no_label_is_newer(
    aging: Settings, good, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_champion(aging, good)
    taken = replace_expired(aging, "2011-02", good.dataset)
    assert taken is not None
    in_a_year = month_number(datetime.now(UTC)) + 12
    monkeypatch.setattr("deposit.selection.fallback.month_number", lambda _: in_a_year)
    again = challenge(aging, good.run_id)
    assert (again.is_champion, again.champion_before) == (False, taken.model_id)
    assert "ingest newer labels" in again.reason
    assert champion(aging).model_id == taken.model_id


def test_a_fallback_is_a_training_of_its_own_and_made_once(own: Settings, good, client) -> None:
    made = train(own, good.dataset, role=RunRole.FALLBACK)
    assert made.run_id != good.run_id
    assert (made.challenger, [recipe.name for recipe in made.recipes]) == (FALLBACK.name, [FALLBACK.name])
    assert client.get_run(made.run_id).data.tags[Tag.ROLE] == "fallback"
    assert train(own, good.dataset, role=RunRole.FALLBACK).run_id == made.run_id
    assert train(own, good.dataset).run_id == good.run_id
