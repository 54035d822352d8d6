from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from grafana import AlertRule, alert_rules

pytestmark = pytest.mark.servers

RULES = {alert.title: alert for alert in alert_rules()}
LIVE = """
INSERT INTO releases (kind, model_id, bento_tag, bento_uri, bento_sha256, state, target, updated_at)
VALUES ('release', 'deposit-v7', 't', 'u', repeat('0', 64), 'live', 'process', now() - INTERVAL '2 days')
"""
SPOOL = "INSERT INTO spool_states VALUES (now() - INTERVAL '{ago}', 1, 10, {oldest}, 4096, 0, 100)"
TRAFFIC = """
INSERT INTO traffic
VALUES (now() - INTERVAL '{ago}', 'i', '{route}', {status}, '{client}', '', 1, 0.1, '{{1}}', '{{1}}')
"""
VERDICT = """
INSERT INTO metrics (period, scope, name, value, note, computed_at)
VALUES ('{month}', '{model}', 'verdict', {verdict}, 'why', now() - INTERVAL '{ago}')
"""
AGE = """
INSERT INTO metrics (period, scope, name, value, computed_at)
SELECT '{month}', '{model}', name, value, now() - INTERVAL '{ago}'
FROM (VALUES ('age_months', {age}), ('stale_after_months', 3)) AS figures (name, value)
"""
RECEIVED = """
INSERT INTO metrics (period, scope, name, "column", value)
SELECT to_char((now() - INTERVAL '{ago}') AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'service', name, '{client}', value
FROM (VALUES ('outcomes_received', {received}), ('outcomes_unknown', {unknown}), ('outcomes_unknown_limit', 0.05))
    AS figures (name, value)
"""
FAILURE = """
INSERT INTO events (kind, model_id, reason, details, at)
VALUES ('failure', '', 'why', '{{"dag": "{dag}", "run": "r"}}', now() - INTERVAL '{ago}')
"""
RESTART = """
INSERT INTO events (kind, model_id, reason, details, at)
VALUES ('restart', '', 'why', '{{"part": "{part}", "restarts": {restarts}}}', now() - INTERVAL '{ago}')
"""
WELL = [
    LIVE,
    SPOOL.format(ago="1 minute", oldest=2),
    # it had waited long, and does so no more
    SPOOL.format(ago="3 minutes", oldest=4000),
    TRAFFIC.format(ago="2 hours", route="/predict", status=200, client="marketing"),
    VERDICT.format(month="2026-05", model="deposit-v7", verdict=1, ago="3 hours"),
    # found long ago, and not again since; and of a model that does not serve any more
    VERDICT.format(month="2026-01", model="deposit-v7", verdict=2, ago="40 days"),
    VERDICT.format(month="2026-02", model="deposit-v7", verdict=3, ago="40 days"),
    VERDICT.format(month="2026-04", model="deposit-v6", verdict=2, ago="3 hours"),
    # as old as it may be in its newest month; others do not serve, or have not been looked at again
    AGE.format(month="2026-04", model="deposit-v7", age=190, ago="3 hours"),
    AGE.format(month="2026-05", model="deposit-v7", age=3, ago="3 hours"),
    AGE.format(month="2026-04", model="deposit-v6", age=9, ago="3 hours"),
    AGE.format(month="2025-01", model="deposit-v7", age=4, ago="40 days"),
    # few of a week are of no prediction; many were, two weeks ago
    RECEIVED.format(ago="2 days", client="crm", received=10, unknown=5),
    RECEIVED.format(ago="3 days", client="crm", received=90, unknown=0),
    RECEIVED.format(ago="14 days", client="branch", received=10, unknown=10),
    # it failed once, and has been mended
    FAILURE.format(dag="deposit_monitor", ago="3 days"),
    RESTART.format(part="mlflow-1", restarts=2, ago="10 minutes"),
    RESTART.format(part="shipper-1", restarts=9, ago="3 hours"),
]
BAD = {
    "Data fault": (
        [VERDICT.format(month="2026-05", model="deposit-v6", verdict=3, ago="3 hours")],
        {"model": "deposit-v6", "month": "2026-05"},
    ),
    "Decay": (
        [LIVE, VERDICT.format(month="2026-05", model="deposit-v7", verdict=2, ago="3 hours")],
        {"model": "deposit-v7", "month": "2026-05"},
    ),
    "Model stale": (
        [
            LIVE,
            AGE.format(month="2026-04", model="deposit-v7", age=4, ago="3 hours"),
            AGE.format(month="2026-05", model="deposit-v7", age=5, ago="3 hours"),
        ],
        {"model": "deposit-v7"},
    ),
    "Unknown outcomes": (
        [
            RECEIVED.format(ago="2 days", client="crm", received=10, unknown=6),
            RECEIVED.format(ago="3 days", client="crm", received=90, unknown=0),
            RECEIVED.format(ago="2 days", client="branch", received=1000, unknown=50),
        ],
        {"client": "crm"},
    ),
    "Spool age": ([SPOOL.format(ago="1 minute", oldest=301)], {}),
    "Shipper stopped": ([SPOOL.format(ago="3 minutes", oldest=0)], {}),
    "No traffic": (
        [
            LIVE,
            TRAFFIC.format(ago="30 hours", route="/predict", status=200, client="marketing"),
            TRAFFIC.format(ago="1 hour", route="/predict", status=401, client=""),
            TRAFFIC.format(ago="1 hour", route="/predict", status=200, client="releaser"),
            TRAFFIC.format(ago="1 hour", route="/outcomes", status=200, client="marketing"),
        ],
        {"model": "deposit-v7"},
    ),
    "DAG failed": ([FAILURE.format(dag="deposit_monitor", ago="20 hours")] * 2, {"dag": "deposit_monitor"}),
    "Part restarts often": (
        [
            RESTART.format(part="mlflow-1", restarts=2, ago="90 minutes"),
            RESTART.format(part="mlflow-1", restarts=1, ago="20 minutes"),
            RESTART.format(part="shipper-1", restarts=2, ago="20 minutes"),
        ],
        {"part": "mlflow-1"},
    ),
    "Monitoring overdue": ([LIVE, VERDICT.format(month="2026-05", model="deposit-v7", verdict=0, ago="31 hours")], {}),
}


@pytest.fixture(scope="module")
def addresses(make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]) -> Any:
    return make_log_database(make_database(), "alerts")


@pytest.fixture
def happened(addresses: Any) -> Iterator[Callable[[list[str]], None]]:
    """Fill the database with what has happened; it is emptied after the test."""
    with psycopg.connect(addresses.owner, autocommit=True) as owner:

        def fill(statements: list[str]) -> None:
            for statement in statements:
                owner.execute(statement.encode())

        yield fill
        owner.execute("TRUNCATE releases, spool_states, traffic, metrics, events")


def test_each_rule_is_tried() -> None:
    assert BAD.keys() == RULES.keys()


@pytest.mark.parametrize("alert", RULES.values(), ids=RULES)
def test_all_is_well(addresses: Any, happened: Callable[[list[str]], None], alert: AlertRule) -> None:
    happened(WELL)
    assert _raised(addresses, alert) == []


@pytest.mark.parametrize("alert", RULES.values(), ids=RULES)
def test_nothing_has_happened_yet(addresses: Any, alert: AlertRule) -> None:
    assert _raised(addresses, alert) == []


@pytest.mark.parametrize("title", BAD)
def test_what_it_is_for_has_happened(addresses: Any, happened: Callable[[list[str]], None], title: str) -> None:
    statements, labels = BAD[title]
    happened(statements)
    assert _raised(addresses, RULES[title]) == [labels]


def _raised(addresses: Any, alert: AlertRule) -> list[dict[str, str]]:
    """The labels of what would be raised: each text of a row is a label, and its one number is what is judged."""
    with psycopg.connect(addresses.reader) as reader:
        cursor = reader.execute(alert.query["model"]["rawSql"].encode())
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    raised = []
    for row in rows:
        labels = {name: value for name, value in row.items() if isinstance(value, str)}
        (number,) = (value for name, value in row.items() if name not in labels)
        assert isinstance(number, int | float)
        if alert.fires(number):
            raised.append(labels)
    assert all(set(BAD[alert.title][1]) == set(labels) for labels in raised)
    return raised
