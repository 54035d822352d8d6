import json
from functools import partial
from typing import Any

import httpx
import pytest

from deposit.errors import UpstreamError
from deposit.overview.contenders import read_contenders
from deposit.registry.tags import GateOutcome
from deposit.settings import Settings

METRICS = {
    "roc_auc_month_mean": 0.67, "roc_auc_month_mean_month_low": 0.63, "roc_auc_month_mean_month_high": 0.7,
    "profit": 10.0, "profit_month_low": 5.0, "profit_month_high": 15.0, "profit_expected": 9.0, "profit_random": 2.0,
    "profit_call_everyone": 8.0, "profit_oracle": 20.0,
}  # fmt: skip
LOST = {"promoted": False, "reason": "it lost"}


def version(number: int, **tags: str) -> dict[str, Any]:
    return {
        "name": "deposit",
        "version": str(number),
        "tags": [{"key": f"deposit.{name}", "value": value} for name, value in tags.items()],
    }


def answer_with(monkeypatch: pytest.MonkeyPatch, alias: httpx.Response, versions: list[dict[str, Any]]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/registered-models/alias"):
            return alias
        assert request.url.params["filter"] == "name = 'deposit'"
        return httpx.Response(200, json={"model_versions": versions})

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))


def test_the_champion_has_its_reason_and_what_it_is_worth_in_months_it_had_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decision = json.dumps({"promoted": True, "reason": "it won"})
    champion = version(7, decision=decision, gate="passed", metrics=json.dumps(METRICS))
    refused = version(8, decision=json.dumps(LOST), gate="refused")
    answer_with(monkeypatch, httpx.Response(200, json={"model_version": champion}), [refused, champion])
    seen = read_contenders(Settings().mlflow)
    assert seen.champion is not None
    assert (seen.champion.model_id, seen.champion.reason) == ("deposit-v7", "it won")
    assert [(worth.profit, worth.low, worth.high) for worth in seen.champion.worths] == [(10.0, 5.0, 15.0)]
    assert seen.champion.roc_auc is not None
    assert vars(seen.champion.roc_auc) == {"value": 0.67, "low": 0.63, "high": 0.7}
    assert [(each.model_id, each.outcome) for each in seen.newest] == [
        ("deposit-v8", GateOutcome.REFUSED),
        ("deposit-v7", GateOutcome.PASSED),
    ]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (LOST, "promoted manually, although it lost"),
        (None, "deposit-v3 is already champion, promoted manually: the gate has not evaluated it"),
    ],
)
def test_a_champion_that_no_gate_let_in_says_so(
    monkeypatch: pytest.MonkeyPatch, decision: dict[str, Any] | None, reason: str
) -> None:
    by_hand = version(3, **({"decision": json.dumps(decision)} if decision else {}))
    answer_with(monkeypatch, httpx.Response(200, json={"model_version": by_hand}), [by_hand])
    champion = read_contenders(Settings().mlflow).champion
    assert champion is not None
    assert (champion.reason, champion.worths, champion.roc_auc) == (reason, (), None)


@pytest.mark.parametrize(("status", "code"), [(404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")])
def test_there_may_be_no_champion(monkeypatch: pytest.MonkeyPatch, status: int, code: str) -> None:
    answer_with(monkeypatch, httpx.Response(status, json={"error_code": code}), [])
    seen = read_contenders(Settings().mlflow)
    assert (seen.champion, seen.newest) == (None, ())


@pytest.mark.parametrize("alias", [httpx.Response(500), httpx.Response(404, text="a proxy's page")])
def test_an_mlflow_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch, alias: httpx.Response) -> None:
    answer_with(monkeypatch, alias, [])
    with pytest.raises(UpstreamError, match="cannot read the champion from MLflow at http://127"):
        read_contenders(Settings().mlflow)
