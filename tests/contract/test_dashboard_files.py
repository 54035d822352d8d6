import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana import DASHBOARDS, All, annotation_queries, expand, panel_queries, panels, variable_queries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deposit.settings import REPOSITORY

BIG = re.compile(
    r"\bFROM (?:(?:predictions|latencies)_by_minute|predictions|traffic|spool_states|outcomes"
    r"|monthly_metrics|daily_outcomes)\b"
)
"""What grows with time; outcomes that are joined are those of predictions that are bounded."""


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_field(path: Path) -> None:
    register_default_plugins()
    document = json.loads(path.read_text())
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document)))
    assert list(_lost(document, read)) == []
    assert document["schemaVersion"] == 42


def _lost(given: Any, kept: Any, where: str = "") -> Any:
    """Paths of what is not there any more."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name not in kept:
                yield f"{where}.{name}"
            else:
                yield from _lost(value, kept[name], f"{where}.{name}")
    elif isinstance(given, list):
        for place, (value, other) in enumerate(zip(given, kept, strict=True)):
            yield from _lost(value, other, f"{where}[{place}]")
    elif given != kept:
        yield where


def test_dashboards_have_fixed_names() -> None:
    documents = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
    assert {name: (each["uid"], each["title"]) for name, each in documents.items()} == {
        "data": ("deposit-data", "Data"),
        "model": ("deposit-model", "Model"),
        "service": ("deposit-service", "Service"),
        "user-log": ("deposit-user-log", "User log"),
    }
    assert {each["timezone"] for each in documents.values()} == {"utc"}
    # the number that a Grafana gave it is no other's
    assert not any("id" in each for each in documents.values())


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_say_what_they_show_in_which_unit_and_do_not_lie_over_each_other(path: Path) -> None:
    every = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        here = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not here & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= here
    for panel in panels(path):
        assert panel["title"].strip()
        assert panel["description"].strip()
        if panel["type"] != "table":
            is_text = panel["options"].get("reduceOptions", {}).get("fields")
            assert panel["fieldConfig"]["defaults"].get("unit") or is_text, panel["title"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_goes_to_the_one_data_source(path: Path) -> None:
    document = json.loads(path.read_text())
    (source,) = _provisioned("datasources")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    asked = [each for panel in panels(path) for each in (panel, *panel["targets"])]
    asked += [variable for variable in document["templating"]["list"] if variable["type"] == "query"]
    for annotation in document["annotations"]["list"]:
        if not annotation.get("builtIn"):
            asked += [annotation, annotation["target"]]
    assert all(each["datasource"] == wanted for each in asked)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_is_bounded(path: Path) -> None:
    queries = [(query.sql, query.kind == "table") for query in panel_queries(path)]
    queries += [(sql, True) for sql in (*variable_queries(path).values(), *annotation_queries(path).values())]
    for sql, lists in queries:
        assert len(BIG.findall(sql)) == sql.count("$__timeFilter(") - sql.count("$__timeFilter(updated_at)"), sql
        assert not lists or "LIMIT" in sql, sql


@pytest.mark.parametrize(
    "sql",
    ["SELECT $__timeEpoch(at)", "SELECT '$customer'", "SELECT ${customer}", "SELECT [[customer]]", "SELECT $nobody"],
)
def test_what_the_expander_does_not_know_is_refused(sql: str) -> None:
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match=r"."):
        expand(sql, now, now, {"customer": "x"})


def test_the_expander_does_as_grafana_does() -> None:
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sql = "$__timeGroupAlias(at,$__interval,0) $__interval_ms $__timeFilter(at) ${a:sqlstring} ${b:sqlstring} $c"
    assert expand(sql, start, start + timedelta(hours=1), {"a": "o'x", "b": ["p", 'q"'], "c": All("'*'")}, "30s") == (
        'floor(extract(epoch from at)/30)*30 AS "time" 30000'
        " at BETWEEN '2026-01-02T03:04:05.000000Z' AND '2026-01-02T04:04:05.000000Z'"
        " 'o''x' 'p','q\\\"' '*'"
    )


def test_the_data_source_holds_no_secret_and_may_only_read() -> None:
    (source,) = _provisioned("datasources")["datasources"]
    assert source["uid"] == "deposit"
    assert source["user"] == "reader"
    assert source["jsonData"]["database"] == "deposit"
    assert source["secureJsonData"] == {"password": "$__file{/run/deposit/database_password}"}
    assert source["editable"] is False


def test_dashboards_are_files_and_stay_so() -> None:
    (provider,) = _provisioned("dashboards")["providers"]
    assert provider["allowUiUpdates"] is False
    assert Path(provider["options"]["path"]).is_absolute()


def _provisioned(kind: str) -> dict[str, Any]:
    path = REPOSITORY / "grafana" / "provisioning" / kind / "deposit.yaml"
    return dict(yaml.safe_load(path.read_text()))
