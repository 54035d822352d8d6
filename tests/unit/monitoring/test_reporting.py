"""A period's reports: computed beside the counting, stored after the metrics, or not at all."""

from threading import Event, get_ident
from types import SimpleNamespace
from typing import Any

import pytest

from deposit.errors import UpstreamError
from deposit.monitoring import evidently_report, reporting
from deposit.monitoring.monitor import MonitoredPeriod
from deposit.registry import model_files
from deposit.settings import Settings

MODELS = ("deposit-v1", "deposit-v2")
SECONDS = 120


class Rows:
    """A period's predictions, of which each sample is the model's id alone."""

    def sample(self, model_id: str, rows: int) -> Any:
        assert rows == Settings().monitor.sample_rows
        return [model_id]


@pytest.fixture
def drafted() -> Event:
    """Set when the first report is computed."""
    return Event()


@pytest.fixture
def seen(drafted: Event, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order; drafts are made in another thread than the counting."""
    events: list[str] = []

    def draft(_: object, __: int, span: Any, model_id: str, artifact: object, sample: Any) -> Any:
        assert (span.name, artifact, sample) == ("2010-05", f"artifact of {model_id}", [model_id])
        drafted.set()
        return SimpleNamespace(model_id=model_id, thread=get_ident())

    def store(_: Settings, report: Any) -> Any:
        assert report.thread != main
        events.append(f"report of {report.model_id}")

    main = get_ident()
    models = SimpleNamespace(by_id=lambda model_id: model_id, load=lambda version: f"artifact of {version}")
    monkeypatch.setattr(model_files, "RegisteredModels", lambda _: models)
    monkeypatch.setattr(evidently_report, "draft_report", draft)
    monkeypatch.setattr(evidently_report, "store_report", store)
    return events


@pytest.mark.parametrize("fails", [False, True])
def test_reports_are_stored_after_the_metrics_and_only_if_these_are(
    fails: bool, seen: list[str], drafted: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(_: Settings, period: str, __: object, before: Any) -> MonitoredPeriod:
        before(Rows(), MODELS)
        assert drafted.wait(SECONDS)
        if fails:
            raise UpstreamError("PostgreSQL does not answer")
        seen.append("metrics")
        return MonitoredPeriod(period, ())

    monkeypatch.setattr(reporting, "monitor", count)
    if fails:
        with pytest.raises(UpstreamError, match="PostgreSQL does not answer"):
            reporting.monitor_and_report(Settings(), "2010-05", lambda *_: None)
        assert seen == []
    else:
        assert reporting.monitor_and_report(Settings(), "2010-05", lambda *_: None).period == "2010-05"
        assert seen == ["metrics", *(f"report of {model_id}" for model_id in MODELS)]
