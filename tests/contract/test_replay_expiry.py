"""A model that nobody refits, through months that it was not made for: a replay on a stack that runs."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
import started

from deposit.registry.registry import ModelRegistry
from deposit.registry.tags import Tag
from deposit.release import requests
from deposit.replay.replay import NAME_WITHOUT_TRAINING, replay
from deposit.settings import Settings
from deposit.training import training
from deposit.training.recipes import FALLBACK, RECIPES

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
PARTS = ("postgres", "objectstore", "mlflow", "gateway", "shipper", "releaser")


@pytest.fixture
def settings(free_ports: Callable[[int], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A stack whose models are stale after two months and replaced after three."""
    with started.stack_environment(free_ports) as variables:
        variables |= {"DEPOSIT_EXPIRY__STALE_AFTER": "2", "DEPOSIT_EXPIRY__REPLACE_AFTER": "3"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield started.up(PARTS)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, set[tuple[str, bool]]]:
    """By month: which models answered the replay, and whether they called themselves stale."""
    seen: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    ask = httpx.Client.post

    def post(client: httpx.Client, path: str, **options: Any) -> httpx.Response:
        response = ask(client, path, **options)
        if path == "/predict":
            answer = response.json()
            seen[options["headers"]["X-Event-Time"][:7]].add((answer["model"], answer["stale"]))
        return response

    monkeypatch.setattr(httpx.Client, "post", post)
    return seen


def test_without_training_a_model_becomes_stale_and_the_rate_table_takes_over(
    settings: Settings, answers: Mapping[str, set[tuple[str, bool]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "RECIPES", (RECIPES[1], FALLBACK))  # sixteen would take as long as all else
    months = replay(settings, "2008-10", "2008-12", training=False).months

    first, second, third = (f"{NAME_WITHOUT_TRAINING}-v{number}" for number in (1, 2, 3))
    # trained through 2008-08: two months old in October, three in November, four in December
    expected = [("2008-10", first, False), ("2008-11", first, True), ("2008-12", second, False)]
    assert [(month.period, month.model_id, month.stale) for month in months] == expected
    assert dict(answers) == {month: {(model, stale)} for month, model, stale in expected}
    rates = "the rate table, released"
    assert [month.action for month in months] == [
        "excluded from training",  # 67 calls, whose data is found broken
        f"not trained; {second}, {rates}",
        f"not trained; {third}, {rates}",
    ]  # fmt: skip

    models = ModelRegistry(settings.changed("mlflow", model_name=NAME_WITHOUT_TRAINING))
    by_id = {version.model_id: version for version in models.versions()}
    assert by_id.keys() == {first, second, third}
    assert [models.load(by_id[each]).metadata.train_end for each in by_id] == ["2008-08", "2008-11", "2008-12"]
    assert models.load(by_id[second]).scorer.weights == {FALLBACK.name: 1.0}
    assert [models.tags_of(by_id[each]).get(Tag.GATE) for each in (second, third)] == ["fallback", "fallback"]

    releases = requests.history(settings.database)
    assert [(each.model_id, each.kind, each.state) for each in releases] == [
        (third, "fallback", "live"), (second, "fallback", "retired"), (first, "release", "retired"),
    ]  # fmt: skip
    assert "trained through 2008-08 and is 4 months old in 2008-12, more than 3" in releases[1].why
