from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from math import nan
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command

from deposit import events
from deposit.database import connect, migrate, revisions
from deposit.errors import ConfigError, DataError
from deposit.events import TimelineEntry
from deposit.loop import record_rejection, request_retraining, request_retrainings
from deposit.monitoring import metric_rows
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.status import PeriodAssessment, PeriodStatus, faulty_periods
from deposit.overview import stored_pages
from deposit.overview.monthly import MONTHS
from deposit.overview.snapshot import read_snapshot
from deposit.release import repository
from deposit.sections import DatabaseSettings
from deposit.selection.decision import Criterion, CriterionName
from deposit.selection.selection import Selection
from deposit.settings import Settings
from deposit.store import ObjectStore

pytestmark = pytest.mark.servers

REFUSED = Selection(
    "deposit-v2",
    "deposit-v1",
    False,
    False,
    (
        Criterion(CriterionName.LOG_LOSS, 0.01, 0.0, passed=False),
        Criterion(CriterionName.ROC_AUC, nan, -0.02, passed=False),
    ),
    "no better",
)
DECAYED = PeriodAssessment(
    "2026-05", "deposit-v7", PeriodStatus.PERFORMANCE_DEGRADED, "it ranks worse", 200, datetime.now(UTC), reported=False
)
FIRST, SECOND, NINTH = (date(2026, 6, day) for day in (1, 2, 9))
VALUES = {"kind": "release", "bento_tag": "t", "bento_uri": "u", "bento_sha256": "0" * 64, "target": "process"}


@pytest.fixture(scope="module")
def addresses(make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]) -> Any:
    return make_log_database(make_database(), "steps")


@pytest.fixture
def settings(addresses: Any, tmp_path: Path) -> Settings:
    with psycopg.connect(addresses.owner) as owner:
        owner.execute("TRUNCATE releases, events, metrics")
    return Settings(state_dir=tmp_path, database=DatabaseSettings(url=addresses.owner))


def _go_live(settings: Settings, model_id: str) -> None:
    engine = connect(settings.database)
    with engine.begin() as connection:
        release = repository.request(connection, VALUES | {"model_id": model_id})
        for state in ("building", "testing"):
            release = repository.step(connection, release, state)
        repository.go_live(connection, release, "http://127.0.0.1:1")
    engine.dispose()


def _timeline(settings: Settings) -> list[TimelineEntry]:
    engine = connect(settings.database)
    with engine.connect() as connection:
        entries = events.timeline(connection, 100)
    engine.dispose()
    return entries


def _noted(settings: Settings) -> list[tuple[str, str, str]]:
    return [(each.kind, each.model_id, each.why) for each in _timeline(settings) if each.state == "noted"]


def _requested(settings: Settings, assessment: PeriodAssessment, day: date) -> bool:
    return request_retraining(settings.database, settings.monitor, assessment, day)


def test_a_refusal_is_noted_once_whatever_is_said_of_it(settings: Settings, addresses: Any) -> None:
    record_rejection(settings.database, REFUSED)
    record_rejection(settings.database, REFUSED)
    record_rejection(settings.database, replace(REFUSED, reason="not better"))
    record_rejection(
        settings.database, replace(REFUSED, champion_before="deposit-v5", reason="no better than deposit-v5 either")
    )
    assert _noted(settings) == [
        ("challenge", "deposit-v2", "no better than deposit-v5 either"),
        ("challenge", "deposit-v2", "no better"),
    ]
    with psycopg.connect(addresses.owner) as owner:
        failed = "SELECT champion, item ->> 'name', (item ->> 'value')::float8 FROM events"
        failed += (
            ", jsonb_array_elements(details -> 'criteria') AS item WHERE NOT (item -> 'passed')::boolean ORDER BY 1, 2"
        )
        assert owner.execute(failed).fetchall() == [
            (champion, name, value)
            for champion in ("deposit-v1", "deposit-v5")
            for name, value in (("log_loss_difference_upper_end", 0.01), ("roc_auc_difference", None))
        ]


def test_a_first_challenger_is_refused_without_a_champion(settings: Settings) -> None:
    record_rejection(settings.database, replace(REFUSED, champion_before=None))
    record_rejection(settings.database, replace(REFUSED, champion_before=None))
    assert _noted(settings) == [("challenge", "deposit-v2", "no better")]


def test_a_decay_asks_for_a_retraining_and_then_the_cool_down_lasts(settings: Settings) -> None:
    _go_live(settings, "deposit-v7")
    assert _requested(settings, DECAYED, FIRST)
    # a task that was killed before it could say so says it again
    assert _requested(settings, DECAYED, FIRST)
    assert not _requested(settings, DECAYED, SECOND)
    assert not _requested(settings, replace(DECAYED, period="2026-04"), FIRST)
    assert _noted(settings) == [("retraining", "deposit-v7", "2026-05, seen on 2026-06-01: it ranks worse")]


def test_an_outcome_that_comes_late_makes_no_other_request(settings: Settings) -> None:
    _go_live(settings, "deposit-v7")
    assert _requested(settings, DECAYED, FIRST)
    assert request_retraining(
        settings.database, settings.monitor, replace(DECAYED, reason="it ranks still worse"), FIRST
    )
    assert request_retraining(
        settings.database, settings.monitor, replace(DECAYED, status=PeriodStatus.DATA_DRIFT, reason="as ever"), FIRST
    )
    assert _noted(settings) == [("retraining", "deposit-v7", "2026-05, seen on 2026-06-01: it ranks worse")]


def test_after_the_cool_down_it_asks_again(settings: Settings, addresses: Any) -> None:
    _go_live(settings, "deposit-v7")
    assert _requested(settings, DECAYED, FIRST)
    with psycopg.connect(addresses.owner) as owner:
        owner.execute("UPDATE events SET at = now() - INTERVAL '7 days 1 minute'")
    assert _requested(settings, DECAYED, NINTH)


def test_a_request_of_a_clock_that_was_set_back_since_holds_up_none(settings: Settings, addresses: Any) -> None:
    _go_live(settings, "deposit-v7")
    assert _requested(settings, DECAYED, FIRST)
    with psycopg.connect(addresses.owner) as owner:
        owner.execute("UPDATE events SET at = at + INTERVAL '1 year'")
    assert _requested(settings, DECAYED, SECOND)
    assert not _requested(settings, DECAYED, NINTH)


def test_the_decay_of_a_model_that_does_not_serve_asks_for_nothing(settings: Settings) -> None:
    assert not _requested(settings, DECAYED, FIRST)
    _go_live(settings, "deposit-v8")
    assert not _requested(settings, DECAYED, FIRST)
    assert _noted(settings) == []


def test_what_is_asked_for_is_what_has_decayed_of_the_model_that_serves(settings: Settings, addresses: Any) -> None:
    _go_live(settings, "deposit-v7")
    months = {"2026-03": PeriodStatus.PERFORMANCE_DEGRADED, "2026-04": PeriodStatus.DATA_QUALITY_FAILURE}
    _monitored(settings, months, "deposit")
    _monitored(settings, {"2026-05": PeriodStatus.PERFORMANCE_DEGRADED}, "replay")
    assert request_retrainings(settings, ["2026-04", "2026-05"], FIRST) == []
    assert request_retrainings(settings, ["2026-03", "2026-04", "2026-05"], FIRST) == ["2026-03"]
    assert request_retrainings(settings, ["2026-03", "2026-04", "2026-05"], FIRST) == ["2026-03"]
    assert request_retrainings(settings, ["2026-03"], SECOND) == []
    assert _noted(settings) == [("retraining", "deposit-v7", "2026-03, seen on 2026-06-01: why")]
    with psycopg.connect(addresses.owner) as owner:
        assert owner.execute("SELECT period, day, details FROM events").fetchall() == [
            ("2026-03", FIRST, {"rows": 200})
        ]


def test_steps_that_release_nothing_keep_their_data_through_the_migration(
    make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]
) -> None:
    addresses = make_log_database(make_database(), "moved")
    steps = [
        ("challenge", "deposit-v2", "deposit-v2 is refused, deposit-v1 stays champion: no better"),
        ("challenge", "deposit-v3", "deposit-v3 is refused, there is no champion: against a constant"),
        ("retraining", "deposit-v7", "2026-05, seen on 2026-06-01: it ranks worse"),
        ("retraining", "deposit-v7", "2026-05-17, seen on 2026-06-09: it ranks worse"),
    ]
    engine = connect(DatabaseSettings(url=addresses.owner))
    with engine.begin() as connection:
        command.downgrade(revisions(connection), "0007")
        for number, (kind, model_id, why) in enumerate(steps):
            connection.exec_driver_sql(
                "INSERT INTO releases (kind, model_id, why, state, requested_at) VALUES (%s, %s, %s, 'noted', %s)",
                (kind, model_id, why, datetime(2026, 6, 1 + number, tzinfo=UTC)),
            )
    _go_live(Settings(database=DatabaseSettings(url=addresses.owner)), "deposit-v7")
    migrate(engine)
    engine.dispose()
    with psycopg.connect(addresses.reader) as reader:
        rows = reader.execute("SELECT kind, model_id, champion, period, day, reason FROM events ORDER BY at").fetchall()
        (left,) = reader.execute("SELECT model_id, state FROM releases")
        timeline = reader.execute("SELECT at, why FROM timeline WHERE state = 'noted'").fetchall()
    assert [row[:2] + row[-1:] for row in rows] == steps
    assert [row[2:-1] for row in rows] == [
        ("deposit-v1", "", None),
        ("", "", None),
        ("", "2026-05", date(2026, 6, 1)),
        ("", "2026-05-17", date(2026, 6, 9)),
    ]
    assert left == ("deposit-v7", "live")
    assert timeline == [
        (datetime(2026, 6, 1 + number, tzinfo=UTC), why) for number, (_, _, why) in reversed([*enumerate(steps)])
    ]


def test_steps_are_no_releases(settings: Settings) -> None:
    _go_live(settings, "deposit-v7")
    record_rejection(settings.database, replace(REFUSED, model_id="deposit-v8"))
    engine = connect(settings.database)
    with engine.connect() as connection:
        assert repository.pending(connection) == []
        assert repository.previous(connection, "deposit-v7") is None
        assert repository.live(connection) is not None
    engine.dispose()


def test_a_rollback_never_goes_to_what_a_replay_has_served(settings: Settings) -> None:
    for model_id in ("deposit-v6", "deposit-v7", "replay-v1", "replay-v2"):
        _go_live(settings, model_id)
    engine = connect(settings.database)
    with engine.connect() as connection:
        before = repository.previous(connection, "deposit-v7")
        replayed = repository.previous(connection, "replay-v2")
    engine.dispose()
    assert before is not None
    assert before.model_id == "deposit-v6"
    assert replayed is not None
    assert replayed.model_id == "replay-v1"


def test_months_with_broken_data_are_suspects(settings: Settings) -> None:
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
    assert faulty_periods(settings) == ["2026-03"]
    assert faulty_periods(settings.changed("train", with_faults=True)) == []
    assert faulty_periods(Settings(state_dir=settings.state_dir)) == []


def test_the_overview_sees_all_of_it(settings: Settings, free_ports: Callable[[int], int]) -> None:
    _go_live(settings, "deposit-v7")
    record_rejection(settings.database, replace(REFUSED, model_id="deposit-v8"))
    _monitored(settings, {"2026-04": PeriodStatus.PERFORMANCE_DEGRADED, "2026-05": PeriodStatus.STABLE}, "deposit")
    nobody = settings.changed("mlflow", tracking_uri=f"http://127.0.0.1:{free_ports(1)}")
    snapshot = read_snapshot(nobody)
    seen = snapshot.records
    assert seen is not None
    assert seen.live is not None
    assert seen.live.model_id == "deposit-v7"
    assert [(each.kind, each.state) for each in seen.timeline] == [("challenge", "noted"), ("release", "live")]
    assert [(each.period, each.status, each.rows, each.reported) for each in seen.verdicts] == [
        ("2026-05", PeriodStatus.STABLE, 200, False),
        ("2026-04", PeriodStatus.PERFORMANCE_DEGRADED, 200, True),
    ]
    assert seen.verdicts[1].computed_at <= datetime.now(UTC)
    assert snapshot.contenders is None
    assert ["cannot read the champion from MLflow" in fault for fault in snapshot.faults] == [True]


def test_the_overview_has_the_newest_months_of_each_registered_model_and_what_waits(
    settings: Settings, free_ports: Callable[[int], int]
) -> None:
    _go_live(settings, "deposit-v7")
    months = [f"{2020 + month // 12}-{month % 12 + 1:02d}" for month in range(MONTHS + 5)]
    with psycopg.connect(settings.database.url.get_secret_value()) as owner:  # type: ignore[union-attr]
        owner.execute("TRUNCATE spool_states")
        for at, rows in (("2026-05-01 10:00+00", 5), ("2026-05-01 10:00:15+00", 12)):
            owner.execute(
                "INSERT INTO spool_states (at, entries, rows, oldest_seconds, bytes, aside_rows, shipped_rows)"
                " VALUES (%s, 1, %s, 90, 1, 0, 1)", [at, rows],
            )  # fmt: skip
    engine = connect(settings.database)
    with engine.begin() as connection:
        for name, periods in (("deposit", months), ("replay", months[:2])):
            for period in periods:
                model_id = f"{name}-v7"
                age = [MetricRow(model_id, "age_months", 4.0), MetricRow(model_id, "stale_after_months", 3.0)]
                rows = [MetricRow(model_id, "rows", 10.0), MetricRow(model_id, "psi", 0.3, "age")]
                metric_rows.replace(connection, period, name, [*rows, MetricRow(model_id, "moved", 1.0, "age"), *age])
    engine.dispose()
    seen = read_snapshot(settings.changed("mlflow", tracking_uri=f"http://127.0.0.1:{free_ports(1)}")).records
    assert seen is not None
    assert {name: each.periods for name, each in seen.figures.items()} == {
        "deposit": tuple(months[5:]),
        "replay": tuple(months[:2]),
    }
    assert seen.figures["replay"].drift == {"age": ((0.3, True), (0.3, True))}
    assert seen.age is not None
    assert seen.age.is_stale
    assert seen.backlog is not None
    assert (seen.backlog.rows, seen.backlog.oldest_seconds) == (12, 90.0)
    assert seen.lease is None


def test_the_overview_is_there_without_a_database(settings: Settings, free_ports: Callable[[int], int]) -> None:
    away = DatabaseSettings(url=f"postgresql://a:secret@127.0.0.1:{free_ports(1)}/b")
    snapshot = read_snapshot(
        settings.model_copy(update={"database": away}).changed("mlflow", tracking_uri="http://[::1]:1")
    )
    assert (snapshot.contenders, snapshot.records) == (None, None)
    assert len(snapshot.faults) == 2
    assert "secret" not in "".join(snapshot.faults)


@pytest.mark.parametrize("model_id", ["..", "deposit-v0", "a/../../secret-v1", "deposit-v1.html", "x" * 200 + "-v1"])
def test_what_is_no_report_is_not_looked_for(settings: Settings, model_id: str) -> None:
    with pytest.raises(DataError, match="is not a model id"):
        stored_pages.report(ObjectStore(settings.store).reports, "2026-05", model_id)


def test_a_report_is_of_a_period(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="is not a period"):
        stored_pages.report(ObjectStore(settings.store).reports, "../2026-05", "deposit-v1")


def _monitored(settings: Settings, kinds: dict[str, PeriodStatus], name: str, count: int = 200) -> None:
    model_id = f"{name}-v7"
    engine = connect(settings.database)
    with engine.begin() as connection:
        for period, kind in kinds.items():
            rows = [MetricRow(model_id, "rows", float(count)), MetricRow(model_id, "verdict", float(kind), note="why")]
            if kind == PeriodStatus.PERFORMANCE_DEGRADED:
                rows.append(MetricRow(model_id, "report", 10.0, note="s3://b/k"))
            metric_rows.replace(connection, period, name, rows)
    engine.dispose()
