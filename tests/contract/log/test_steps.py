import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from deposit import overview
from deposit.database import connect
from deposit.errors import ConfigError, DataError
from deposit.loop import record_rejection, request_retraining
from deposit.monitoring import metric_rows
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.status import PeriodStatus, periods_to_exclude
from deposit.release import repository, requests
from deposit.sections import DatabaseSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers

VALUES = {"kind": "release", "bento_tag": "t", "bento_uri": "u", "bento_sha256": "0" * 64, "target": "process"}


@pytest.fixture(scope="module")
def addresses(make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]) -> Any:
    return make_log_database(make_database(), "steps")


@pytest.fixture
def settings(addresses: Any, tmp_path: Path) -> Settings:
    with psycopg.connect(addresses.owner) as owner:
        owner.execute("TRUNCATE releases, metrics")
    return Settings(state_dir=tmp_path, database=DatabaseSettings(url=addresses.owner))


def _go_live(settings: Settings, model_id: str) -> None:
    engine = connect(settings.database)
    with engine.begin() as connection:
        release = repository.request(connection, VALUES | {"model_id": model_id})
        for state in ("building", "testing"):
            release = repository.step(connection, release, state)
        repository.go_live(connection, release, "http://127.0.0.1:1")
    engine.dispose()


def _noted(settings: Settings) -> list[tuple[str, str, str]]:
    return [(each.kind, each.model_id, each.why) for each in requests.history(settings) if each.state == "noted"]


def test_a_refusal_is_noted_once(settings: Settings) -> None:
    for _ in range(2):
        record_rejection(settings, "deposit-v2", "no better")
    record_rejection(settings, "deposit-v2", "no better than deposit-v5 either")
    assert _noted(settings) == [
        ("challenge", "deposit-v2", "no better than deposit-v5 either"),
        ("challenge", "deposit-v2", "no better"),
    ]


def test_a_decay_asks_for_a_retraining_and_then_the_cool_down_lasts(settings: Settings) -> None:
    _go_live(settings, "deposit-v7")
    assert request_retraining(settings, "deposit-v7", "May, seen on the 1st")
    # a task that was killed before it could say so says it again
    assert request_retraining(settings, "deposit-v7", "May, seen on the 1st")
    assert not request_retraining(settings, "deposit-v7", "May, seen on the 2nd")
    assert _noted(settings) == [("retraining", "deposit-v7", "May, seen on the 1st")]


def test_after_the_cool_down_it_asks_again(settings: Settings, addresses: Any) -> None:
    _go_live(settings, "deposit-v7")
    assert request_retraining(settings, "deposit-v7", "May, seen on the 1st")
    with psycopg.connect(addresses.owner) as owner:
        owner.execute("UPDATE releases SET requested_at = now() - INTERVAL '7 days 1 minute' WHERE state = 'noted'")
    assert request_retraining(settings, "deposit-v7", "May, seen on the 9th")


def test_the_decay_of_a_model_that_does_not_serve_asks_for_nothing(settings: Settings) -> None:
    assert not request_retraining(settings, "deposit-v7", "nothing serves")
    _go_live(settings, "deposit-v8")
    assert not request_retraining(settings, "deposit-v7", "another serves")
    assert _noted(settings) == []


def test_steps_are_no_releases(settings: Settings) -> None:
    _go_live(settings, "deposit-v7")
    record_rejection(settings, "deposit-v8", "no better")
    engine = connect(settings.database)
    with engine.connect() as connection:
        assert repository.pending(connection) == []
        assert repository.previous(connection, "deposit-v7") is None
        assert repository.live(connection) is not None
    engine.dispose()


def test_months_with_broken_data_are_left_out(settings: Settings) -> None:
    kinds = {
        "2026-03": PeriodStatus.DATA_QUALITY_FAILURE,
        "2026-04": PeriodStatus.PERFORMANCE_DEGRADED,
        "2026-04-05": PeriodStatus.DATA_QUALITY_FAILURE,
        "2026-05": PeriodStatus.STABLE,
    }
    _monitored(settings, kinds, "deposit")
    _monitored(settings, {"2026-02": PeriodStatus.DATA_QUALITY_FAILURE}, "other")
    # somebody has tried something out
    _monitored(settings, {"2026-01": PeriodStatus.DATA_QUALITY_FAILURE}, "deposit", 199)
    assert periods_to_exclude(settings) == ["2026-03"]
    assert periods_to_exclude(settings.changed("train", with_faults=True)) == []
    assert periods_to_exclude(Settings(state_dir=settings.state_dir)) == []


def test_the_overview_sees_all_of_it(settings: Settings, free_ports: Callable[[int], int]) -> None:
    _go_live(settings, "deposit-v7")
    record_rejection(settings, "deposit-v8", "no better")
    _monitored(settings, {"2026-04": PeriodStatus.PERFORMANCE_DEGRADED, "2026-05": PeriodStatus.STABLE}, "deposit")
    nobody = settings.changed("mlflow", tracking_uri=f"http://127.0.0.1:{free_ports(1)}")
    seen = overview.load_overview(nobody)
    assert seen.live is not None
    assert seen.live.model_id == "deposit-v7"
    assert [(each.kind, each.state) for each in seen.releases] == [("challenge", "noted"), ("release", "live")]
    assert [(each.period, each.kind, each.rows, each.reported) for each in seen.verdicts] == [
        ("2026-05", PeriodStatus.STABLE, 200, False),
        ("2026-04", PeriodStatus.PERFORMANCE_DEGRADED, 200, True),
    ]
    assert seen.verdicts[1].computed_at <= datetime.now(UTC)
    assert "MLflow does not tell" in seen.champion.error


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}), (400, {"error_code": "INVALID_PARAMETER_VALUE"})],
)
def test_there_may_be_no_champion(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, status: int, body: dict[str, str]
) -> None:
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(status, json=body))
    assert overview.champion_of(settings) == overview.Champion(None)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        ({"promoted": True, "reason": "it won"}, "it won"),
        ({"promoted": False, "reason": "it lost"}, "appointed by hand"),
        (None, "appointed by hand"),
    ],
)
def test_why_it_is_champion_is_what_the_gate_said_unless_it_said_no(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, decision: dict[str, Any] | None, reason: str
) -> None:
    tags = [{"key": "deposit.decision", "value": json.dumps(decision)}] if decision else []
    body = {"model_version": {"version": "3", "tags": tags}}
    answer = httpx.Response(200, json=body, request=httpx.Request("GET", "http://mlflow"))
    monkeypatch.setattr(httpx, "get", lambda *_, **__: answer)
    assert overview.champion_of(settings) == overview.Champion("deposit-v3", reason)


@pytest.mark.parametrize("model_id", ["..", "deposit-v0", "a/../../secret-v1", "deposit-v1.html", "x" * 200 + "-v1"])
def test_what_is_no_report_is_not_looked_for(settings: Settings, model_id: str) -> None:
    with pytest.raises(DataError, match="is no model id"):
        overview.report(settings, "2026-05", model_id)


def test_a_report_is_of_a_period(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="is no period"):
        overview.report(settings, "../2026-05", "deposit-v1")


def _monitored(settings: Settings, kinds: dict[str, PeriodStatus], name: str, count: int = 200) -> None:
    model_id = f"{name}-v7"
    engine = connect(settings.database)
    with engine.begin() as connection:
        for period, kind in kinds.items():
            found = [MetricRow(model_id, "rows", float(count)), MetricRow(model_id, "verdict", float(kind), note="why")]
            if kind == PeriodStatus.PERFORMANCE_DEGRADED:
                found.append(MetricRow(model_id, "report", 10.0, note="s3://b/k"))
            metric_rows.replace(connection, period, name, found)
    engine.dispose()
