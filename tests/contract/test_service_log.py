import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from deposit.errors import SpoolError
from deposit.log.entries import decode_entry
from deposit.log.spool import Spool
from deposit.model.artifact import ModelArtifact
from deposit.settings import Settings
from serving.application import Application
from serving.recorder import texts

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def application(
    settings: Settings,
    tmp_path: Path,
    make_model: Callable[..., ModelArtifact],
    make_application: Callable[[Settings, Path], Application],
) -> Application:
    make_model(tmp_path / "model", version=7)
    return make_application(settings, tmp_path / "model")


def _together(application: Application, bodies: list[dict[str, Any]], **headers: str) -> list[httpx.Response]:
    """Send all at once, in one event loop."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            calls = [client.post("/predict", content=json.dumps(body), headers=JSON | headers) for body in bodies]
            return await asyncio.gather(*calls)

    return asyncio.run(send())


def _logged(settings: Settings) -> list[Any]:
    spool = Spool.of(settings)
    try:
        return [decode_entry(entry) for _, entry in spool.read(1_000_000)]
    finally:
        spool.close()


def test_what_was_answered_is_in_the_spool_with_all_that_monitoring_needs(
    application: Application, settings: Settings, customers: list[dict[str, Any]]
) -> None:
    before = datetime.now(UTC)
    (response,) = _together(application, [{"customers": customers[:3]}], **{"X-Request-Id": "r-1"})
    (entry,) = _logged(settings)
    answer = response.json()
    assert texts(entry.prediction_ids) == [prediction["prediction_id"] for prediction in answer["predictions"]]
    assert entry.probabilities == [prediction["probability"] for prediction in answer["predictions"]]
    assert json.loads(entry.body)["customers"] == customers[:3]
    assert (entry.request_id, entry.client, entry.model_id, entry.threshold) == ("r-1", "anonymous", "deposit-v7", 0.3)
    assert before.timestamp() <= entry.event_time / 1_000_000 <= datetime.now(UTC).timestamp()
    assert entry.latency_ms > 0


def test_requests_of_one_moment_share_one_call_of_the_model_and_keep_their_own_answers(
    application: Application, customers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = ModelArtifact.probabilities

    def counting(self: ModelArtifact, matrix: Any) -> Any:
        sizes.append(len(matrix))
        return original(self, matrix)

    alone = [_together(application, [{"customers": [customer]}])[0].json() for customer in customers[:8]]
    monkeypatch.setattr(ModelArtifact, "probabilities", counting)
    together = _together(application, [{"customers": [customer]} for customer in customers[:8]])
    assert sum(sizes) == 8
    assert len(sizes) < 8
    for one, other in zip(alone, together, strict=True):
        assert one["predictions"][0]["probability"] == other.json()["predictions"][0]["probability"]


@pytest.mark.parametrize("count", [1, 300])
def test_what_cannot_be_recorded_is_not_answered_and_the_next_one_is(
    application: Application,
    settings: Settings,
    customers: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    def full(*_: object) -> None:
        raise SpoolError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Spool, "append", full)
        refused = _together(application, [{"customers": customers[:count]}] * 3)
    assert [response.status_code for response in refused] == [503] * 3
    assert all("the disk is full" in response.json()["detail"][0]["message"] for response in refused)
    assert all(response.headers["retry-after"] for response in refused)
    assert _logged(settings) == []
    (answered,) = _together(application, [{"customers": customers[:count]}])
    assert answered.status_code == 200
    assert len(_logged(settings)) == 1


def test_an_event_time_is_kept(application: Application, settings: Settings, customers: list[dict[str, Any]]) -> None:
    (response,) = _together(
        application, [{"customers": customers[:1]}], **{"X-Event-Time": "2010-05-03T09:30:00+02:00"}
    )
    assert response.status_code == 200
    (entry,) = _logged(settings)
    assert datetime.fromtimestamp(entry.event_time / 1_000_000, UTC) == datetime(2010, 5, 3, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "stale"),
    [("2010-05-03T09:30:00Z", False), ("2011-02-28T23:59:59Z", False), ("2011-03-01T00:00:00Z", True)],
)
def test_an_answer_says_whether_the_model_is_too_old_for_its_time(
    application: Application, customers: list[dict[str, Any]], time: str, stale: bool
) -> None:
    """Trained through 2010-11, ingested today."""
    (then,) = _together(application, [{"customers": customers[:1]}], **{"X-Event-Time": time})
    (now,) = _together(application, [{"customers": customers[:1]}])
    assert (then.json()["stale"], now.json()["stale"]) == (stale, False)


@pytest.mark.parametrize("value", ["yesterday", "2010-05-03T09:30:00", "2999-01-01T00:00:00Z", ""])
def test_a_wrong_event_time_is_refused(application: Application, customers: list[dict[str, Any]], value: str) -> None:
    (response,) = _together(application, [{"customers": customers[:1]}], **{"X-Event-Time": value})
    assert response.status_code == 422
    assert response.json()["detail"][0]["field"] == "X-Event-Time"


def test_a_dry_run_leaves_no_trace(
    application: Application, settings: Settings, customers: list[dict[str, Any]]
) -> None:
    for count in (1, 300):
        (response,) = _together(application, [{"customers": customers[:count]}], **{"X-Dry-Run": "true"})
        assert response.status_code == 200
        assert len(response.json()["predictions"]) == count
    assert _logged(settings) == []
