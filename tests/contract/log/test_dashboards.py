import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
import psycopg
import pytest
from grafana import (
    DASHBOARDS,
    PanelQuery,
    annotation_queries,
    defaults,
    expand,
    panel_queries,
    variable_queries,
)
from monitored import MONEY, Trained, observe, sampled
from served import Service

from deposit import events, keys
from deposit.data.columns import NAMES
from deposit.database import connect
from deposit.events import Event, EventKind
from deposit.log import predictions, shipper
from deposit.log.batch import prepare
from deposit.log.entries import Traffic, TrafficCount, encode_entry, microseconds
from deposit.log.spool import Spool
from deposit.log.spools import store_state
from deposit.monitoring import metric_rows
from deposit.monitoring.assessment import assess
from deposit.monitoring.evidently_report import ReportSubject, evidently_metrics, evidently_report
from deposit.monitoring.receipts import Days, Receipt
from deposit.release import repository
from deposit.sections import DatabaseSettings, ServeSettings
from deposit.settings import Settings

pytestmark = pytest.mark.servers

BY_NAME = {path.stem: path for path in DASHBOARDS}
QUERIES = [
    pytest.param(path, query, id=f"{path.stem}: {query.title}") for path in DASHBOARDS for query in panel_queries(path)
]
JSON = {"Content-Type": "application/json"}
MONTHLY = {"data", "model"}
"""Dashboards of months."""


class Shown(NamedTuple):
    """A database in which something happened between two moments, and what was answered."""

    addresses: Any
    start: datetime
    end: datetime
    answer: dict[str, Any]
    request_id: str

    def ask(self, sql: str, variables: Any, since: datetime | None = None) -> "Table":
        """What Grafana would get."""
        return _read(self.addresses.reader, expand(sql, since or self.start, self.end, variables))

    def ask_board(self, path: Path, sql: str, variables: Any) -> "Table":
        """The same over the time that the dashboard shows."""
        return self.ask(sql, variables, self.end - timedelta(days=3 * 365) if path.stem in MONTHLY else None)


class Table(NamedTuple):
    names: list[str]
    rows: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def shown(
    make_database: Callable[[], str],
    make_log_database: Callable[[str, str], Any],
    bento: Path,
    free_ports: Callable[[int], int],
    customers: list[dict[str, Any]],
    scored: Callable[..., Any],
    trained: Trained,
    history: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shown:
    """A real service answered, and a shipper moved what it logged; before that, hours of the same were shipped."""
    folder = tmp_path_factory.mktemp("dashboards")
    addresses = make_log_database(make_database(), "dashboards")
    settings = Settings(
        state_dir=folder / "state",
        database=DatabaseSettings(url=addresses.owner, writer_url=addresses.writer),
        serve=ServeSettings(keys_file=folder / "keys.json"),
    )
    answer = _serve(bento, settings, free_ports(1), customers)
    now = datetime.now(UTC)
    spool = Spool.of(settings)
    for hours in range(5):
        at = microseconds(now - timedelta(hours=hours, minutes=1))
        counts = [
            TrafficCount("/predict", 200, "marketing", "deposit-v7", 0.3, [0.004, 0.16], [9, 1]),
            TrafficCount("/predict", 422, "marketing", "", 0.1, [0.001], [2]),
            TrafficCount("/rank", 500, "branch", "", 200.0, [float("inf")], [1]),
        ]
        spool.append([encode_entry(Traffic("before", at, counts), 3)])
        spool.append([encode_entry(scored(4, ids=["a", "b", 3, None], event_time=at), 4)])
    with psycopg.connect(addresses.writer, autocommit=True) as writer:
        prepare(writer)
        predictions.maintain_partitions(writer, None)
        while batch := spool.read(20_000):
            shipper.ship(writer, spool, batch)
        store_state(writer, spool.state())
    spool.close()
    with psycopg.connect(addresses.owner) as owner:
        owner.execute(
            "INSERT INTO spool_states SELECT now() - make_interval(mins => i), 1, 10, 2.5, 4096, 0, 100 - i"
            " FROM generate_series(1, 60) AS i"
        )
    _release(settings)
    _monitor(settings, trained, history)
    return Shown(addresses, now - timedelta(hours=6), datetime.now(UTC), answer, "r-shown")


def _serve(bento: Path, settings: Settings, port: int, customers: list[dict[str, Any]]) -> dict[str, Any]:
    """Some of everything that a service can be asked; the answer to the request `r-shown`."""
    settings.state_dir.mkdir()
    assert settings.serve.keys_file is not None
    _, marketing = keys.add(settings.serve.keys_file, "marketing", ("predict",))
    _, branch = keys.add(settings.serve.keys_file, "branch", ("outcomes",))
    service = Service(bento, settings, port)

    def ask(path: str, body: dict[str, Any], key: str, status: int, **headers: str) -> dict[str, Any]:
        given = JSON | {"Authorization": f"Bearer {key}"} | headers
        got, _, content = service.request("POST", path, json.dumps(body).encode(), given)
        assert got == status, content
        return dict(json.loads(content))

    service.start()
    try:
        sent = [customer | {"id": f"customer-{number}"} for number, customer in enumerate(customers[:50])]
        answer = ask("/predict", {"customers": sent}, marketing, 200, **{"X-Request-Id": "r-shown"})
        ids = [prediction["prediction_id"] for prediction in answer["predictions"]]
        outcomes = [{"prediction_id": ids[number], "subscribed": number % 2 == 0} for number in range(20)]
        ask("/outcomes", {"outcomes": outcomes}, branch, 200)
        ask("/outcomes", {"outcomes": [{"prediction_id": ids[1], "subscribed": True}]}, branch, 200)
        ask("/predict", {"customers": []}, marketing, 422)
        ask("/predict", {"customers": sent}, branch, 403)
        ask("/predict", {"customers": sent}, "nobody", 401)
    finally:
        service.stop()
    return answer


def _release(settings: Settings) -> None:
    engine = connect(settings.database)
    bento = {"kind": "release", "bento_tag": "t", "bento_uri": "u", "bento_sha256": "0" * 64, "target": "process"}
    for version in (6, 7):
        with engine.begin() as connection:
            release = repository.request(connection, bento | {"model_id": f"deposit-v{version}"})
            for state in ("building", "testing"):
                release = repository.step(connection, release, state)
            repository.go_live(connection, release, "http://127.0.0.1:1")
    with engine.begin() as connection:
        events.record(connection, Event(EventKind.CHALLENGE, "deposit-v8", champion="deposit-v7"), "no better")
    engine.dispose()


def _monitor(settings: Settings, trained: Trained, history: pd.DataFrame) -> None:
    """Figures of three months as monitoring would keep them: the last is this one, and it is of two models."""
    now, engine = datetime.now(UTC), connect(settings.database)
    subject = ReportSubject("2010-05", "deposit-v7", now, trained.threshold)
    report = evidently_report(subject, sampled(trained, 1000, 1), sampled(trained, 1000, 2))
    for age, source in enumerate(("2010-05", "2009-08", "2008-07")):
        month = (now.replace(day=15) - timedelta(days=30 * age)).strftime("%Y-%m")
        frame = history[history["period"] == source].iloc[:2000].reset_index(drop=True)
        observed = observe(frame, trained.score(frame), trained, frame["y"].to_numpy(np.int8))
        assessment = assess(observed, trained.reference, trained.threshold, trained.expected, MONEY)
        models = ["deposit-v7"] if age else ["deposit-v6", "deposit-v7"]
        kept = [
            each
            for name in models
            for each in metric_rows.to_metric_rows(name, observed, trained.reference, assessment)
        ]
        with engine.begin() as connection:
            metric_rows.replace(connection, month, "deposit", kept)
            for name in models:
                metric_rows.replace_report(connection, month, name, list(evidently_metrics(name, report)))
    today = now.date()
    days = Days(today - timedelta(days=9), today - timedelta(days=1), UUID(int=0))
    counted = [
        Receipt(today - timedelta(days=age), client, 100, 2 * age)
        for age in range(2, 9)
        for client in ("branch", "marketing")
    ]
    with engine.begin() as connection:
        metric_rows.replace_receipts(connection, days, counted, settings.monitor.max_unknown_share)
    engine.dispose()


def _read(address: str, sql: str) -> Table:
    with psycopg.connect(address) as reader:
        cursor = reader.execute(sql.encode())
        assert cursor.description is not None
        return Table([column.name for column in cursor.description], cursor.fetchall())


@pytest.mark.parametrize(("path", "query"), QUERIES)
def test_a_panel_shows_something_that_fits_its_type(shown: Shown, path: Path, query: PanelQuery) -> None:
    _check(query, shown.ask_board(path, query.sql, defaults(path)))


@pytest.mark.parametrize(("path", "query"), QUERIES)
def test_a_panel_shows_something_of_what_was_chosen(shown: Shown, path: Path, query: PanelQuery) -> None:
    first = shown.answer["predictions"][0]
    chosen = {
        "route": ["/predict", "/rank"],
        "client": ["branch"] if query.title == "Outcomes" else ["marketing", "bran'ch"],
        "model": ["deposit-v7", "", "deposit-v8"],
        "customer": first["id"],
        "request": "" if query.title == "Outcomes" else f" {shown.request_id}",
        "prediction": f"{first['prediction_id'].upper()} ",
        "column": ["age", "job", "nobody's"],
    }
    if query.title == "Score's drift":
        chosen["column"] = ["probability"]
    _check(query, shown.ask_board(path, query.sql, {name: chosen[name] for name in defaults(path)}))


@pytest.mark.parametrize(("path", "query"), QUERIES)
def test_a_panel_asks_only_the_days_that_are_shown(shown: Shown, path: Path, query: PanelQuery) -> None:
    plan = shown.ask(f"EXPLAIN {query.sql}", defaults(path)).rows
    days = {day for (line,) in plan for day in re.findall(r"predictions_(\d{8})\b", line)}
    assert days <= {f"{moment:%Y%m%d}" for moment in (shown.start, shown.end)}


@pytest.mark.parametrize("name", BY_NAME)
def test_variables_offer_what_there_is(shown: Shown, name: str) -> None:
    path = BY_NAME[name]
    offered = {
        variable: {value for (value,) in shown.ask_board(path, sql, defaults(path)).rows}
        for variable, sql in variable_queries(path).items()
    }
    every = {
        "client": {"marketing", "branch"},
        "column": {*NAMES, "probability"},
        "model": {"deposit-v6", "deposit-v7"},
        "route": {"/predict", "/outcomes", "/rank"},
    }
    assert offered == {variable: every[variable] for variable in offered}
    assert "model" in offered


def test_releases_are_marked(shown: Shown) -> None:
    (sql,) = annotation_queries(BY_NAME["service"]).values()
    names, rows = shown.ask(sql, defaults(BY_NAME["service"]))
    assert names == ["time", "text", "tags"]
    assert {text for _, text, _ in rows} == {"deposit-v6 retired", "deposit-v7 live"}
    assert all(isinstance(at, datetime) for at, _, _ in rows)


def test_steps_that_release_nothing_are_shown_beside_the_releases_the_newest_first(shown: Shown) -> None:
    path = BY_NAME["service"]
    (query,) = [query for query in panel_queries(path) if query.title == "Releases"]
    names, rows = shown.ask(query.sql, defaults(path))
    steps = [dict(zip(names, row, strict=True)) for row in rows]
    assert [(step["kind"], step["model"], step["state"], step["why"]) for step in steps] == [
        ("challenge", "deposit-v8", "noted", "no better"),
        ("release", "deposit-v7", "live", ""),
        ("release", "deposit-v6", "retired", ""),
    ]
    assert [step["id"] is None for step in steps] == [True, False, False]


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ({"customer": "customer-7"}, 1),
        ({"customer": "customer"}, 0),
        ({"request": "r-shown"}, 50),
        ({"prediction": "not an id"}, 0),
        ({"prediction": "00000000-0000-0000-0000-000000000000"}, 0),
        ({"customer": "' OR true --"}, 0),
        ({"request": "'; DROP TABLE predictions; --"}, 0),
        ({"prediction": "\\' OR 1=1 --"}, 0),
        ({"client": ["') OR ('1'='1"]}, 0),
    ],
    ids=str,
)
def test_a_search_finds_what_it_names_and_is_never_sql(shown: Shown, search: dict[str, Any], count: int) -> None:
    path = BY_NAME["user-log"]
    (query,) = [query for query in panel_queries(path) if (query.title, query.kind) == ("Predictions", "table")]
    assert len(shown.ask(query.sql, defaults(path) | search).rows) == count


def test_a_prediction_is_found_with_its_outcome(shown: Shown) -> None:
    path = BY_NAME["user-log"]
    (query,) = [query for query in panel_queries(path) if (query.title, query.kind) == ("Predictions", "table")]
    first = shown.answer["predictions"][0]
    names, (values,) = shown.ask(query.sql, defaults(path) | {"prediction": first["prediction_id"]})
    row = dict(zip(names, values, strict=True))
    assert row["customer"] == "customer-0"
    assert row["probability"] == first["probability"]
    assert row["decision"] == ("call" if first["subscribes"] else "do not call")
    assert (row["outcome"], row["client"], row["model"]) == ("subscribed", "marketing", "deposit-v7")
    assert UUID(row["prediction"]) == UUID(first["prediction_id"])


@pytest.mark.parametrize(
    ("chosen", "condition"),
    [
        ({}, "true"),
        ({"client": ["marketing"]}, "client = 'marketing'"),
        ({"request": "r-shown"}, "request_id = 'r-shown'"),
    ],
    ids=str,
)
def test_counts_are_those_of_the_predictions(shown: Shown, chosen: dict[str, Any], condition: str) -> None:
    truths = _read(
        shown.addresses.reader,
        "SELECT count(*)::float8, count(*) FILTER (WHERE subscribes)::float8, avg(subscribes::int)::float8,"
        f" avg(probability) FROM predictions WHERE {condition}",
    ).rows[0]
    truth = dict(zip(("Predictions", "To call", "Share called", "Mean probability"), truths, strict=True))
    boards = [BY_NAME[name] for name in ("service", "user-log") if chosen.keys() <= defaults(BY_NAME[name]).keys()]
    values = [
        (query.title, float(shown.ask(query.sql, defaults(path) | chosen).rows[0][0]))
        for path in boards
        for query in panel_queries(path)
        if query.kind == "stat" and query.title in truth
    ]
    assert {title for title, _ in values} == truth.keys()
    assert values == [(title, pytest.approx(truth[title])) for title, _ in values]


@pytest.mark.parametrize(("chosen", "predictions"), [({}, 70), ({"request": "r-shown"}, 50)], ids=str)
def test_outcomes_are_counted_by_what_was_stated_last(shown: Shown, chosen: dict[str, Any], predictions: int) -> None:
    path = BY_NAME["user-log"]
    known, subscribed = (
        shown.ask(query.sql, defaults(path) | chosen).rows[0][0]
        for query in panel_queries(path)
        if query.title in ("Outcomes known", "Subscribed")
    )
    assert (known, float(subscribed)) == (20 / predictions, 11 / 20)


def test_what_is_counted_is_what_was_asked(shown: Shown) -> None:
    _, rows = _read(
        shown.addresses.reader,
        "SELECT route, status, client, model_id, requests FROM traffic WHERE instance <> 'before' ORDER BY 1, 2",
    )
    assert rows == [
        ("/outcomes", 200, "branch", "", 2),
        ("/predict", 200, "marketing", "deposit-v7", 1),
        ("/predict", 401, "", "", 1),
        ("/predict", 403, "branch", "", 1),
        ("/predict", 422, "marketing", "", 1),
    ]


def test_panels_work_before_anything_has_happened(
    make_database: Callable[[], str], make_log_database: Callable[[str, str], Any]
) -> None:
    addresses = make_log_database(make_database(), "nothing")
    end = datetime.now(UTC)
    for path in DASHBOARDS:
        queries = [query.sql for query in panel_queries(path)]
        for sql in [*queries, *variable_queries(path).values(), *annotation_queries(path).values()]:
            _read(addresses.reader, expand(sql, end - timedelta(days=90), end, defaults(path), "1h"))


def _check(query: PanelQuery, table: Table) -> None:
    names, rows = table
    assert rows, "no rows"
    assert len(names) == len(set(names))
    if query.kind in ("timeseries", "status-history"):
        assert query.format == "time_series"
        assert names[0] == "time"
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        values = [place for place, name in enumerate(names) if name not in ("time", "metric")]
        assert values
        assert all(_is_number(row[place]) or row[place] is None for row in rows for place in values)
        assert any(row[place] is not None for row in rows for place in values)
        assert all(isinstance(row[1], str) for row in rows if names[1] == "metric")
    elif query.kind == "stat":
        ((value,),) = rows
        as_text = query.panel["options"]["reduceOptions"]["fields"]
        assert isinstance(value, str) if as_text else _is_number(value)
    elif query.kind == "barchart":
        assert query.panel["options"]["xField"] == names[0]
        assert all(isinstance(row[0], str) and all(map(_is_number, row[1:])) for row in rows)
    else:
        assert (query.kind, query.format) == ("table", "table")


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str | datetime | None) and float(value) == float(value)
