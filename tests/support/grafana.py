"""What Grafana makes of a dashboard's SQL: its page fills variables in, its PostgreSQL source replaces macros."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from deposit.settings import REPOSITORY

DASHBOARDS = sorted((REPOSITORY / "grafana" / "dashboards").glob("*.json"))
ALERTING = REPOSITORY / "grafana" / "provisioning" / "alerting"

_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class All(str):
    """The value of a variable's choice "All" when it has one of its own: put in as it is, in whatever format."""


Value = str | Sequence[str]
"""Of a variable: one, or those chosen."""


class PanelQuery(NamedTuple):
    """One query of one panel."""

    panel: dict[str, Any]
    sql: str
    format: str

    @property
    def title(self) -> str:
        return str(self.panel["title"])

    @property
    def kind(self) -> str:
        """The panel's type: timeseries, stat, table."""
        return str(self.panel["type"])


def panels(path: Path) -> list[dict[str, Any]]:
    """A dashboard's panels, those in collapsed rows too, rows themselves left out."""
    listed = json.loads(path.read_text())["panels"]
    return [panel for each in listed for panel in (each, *each.get("panels", ())) if panel["type"] != "row"]


def panel_queries(path: Path) -> list[PanelQuery]:
    """The queries of a dashboard's panels."""
    return [
        PanelQuery(panel, target["rawSql"], target["format"]) for panel in panels(path) for target in panel["targets"]
    ]


def variable_queries(path: Path) -> dict[str, str]:
    """The SQL that finds the choices of each of a dashboard's variables."""
    listed = json.loads(path.read_text())["templating"]["list"]
    return {variable["name"]: variable["query"] for variable in listed if variable["type"] == "query"}


def annotation_queries(path: Path) -> dict[str, str]:
    """The SQL of a dashboard's annotations by their names; Grafana's own has none."""
    listed = json.loads(path.read_text())["annotations"]["list"]
    return {each["name"]: each["target"]["rawSql"] for each in listed if not each.get("builtIn")}


def defaults(path: Path) -> dict[str, Value]:
    """The variables as a dashboard has them when it is opened."""
    listed = json.loads(path.read_text())["templating"]["list"]
    return {
        variable["name"]: All(variable["allValue"])
        if variable["current"]["value"] in ("$__all", ["$__all"])
        else variable["current"]["value"]
        for variable in listed
    }


def expand(sql: str, start: datetime, end: datetime, variables: Mapping[str, Value], interval: str = "1m") -> str:
    """The SQL that reaches PostgreSQL. Raises ValueError for a macro, variable or format that is not known here."""
    return _with_macros(_with_variables(sql, {**variables, **_built_in(interval)}), start, end)


def _built_in(interval: str) -> dict[str, Value]:
    return {"__interval": All(interval), "__interval_ms": All(str(1000 * _seconds(interval)))}


def _with_variables(sql: str, variables: Mapping[str, Value]) -> str:
    def replaced(match: re.Match[str]) -> str:
        plain, old, _, braced, field, form = match.groups()
        if old or field:
            raise ValueError(f"{match[0]}: write ${{name:sqlstring}}")
        name = plain or braced
        if name not in variables:
            if plain and plain.startswith("__") and sql[match.end() : match.end() + 1] == "(":
                return match[0]  # a macro, which is the data source's
            raise ValueError(f"there is no variable {name}")
        value = variables[name]
        if isinstance(value, All):
            return str(value)
        if form != "sqlstring":
            raise ValueError(f"{match[0]} would let its value be SQL: write ${{{name}:sqlstring}}")
        return _as_sqlstring(value)

    return _VARIABLE.sub(replaced, sql)


def _as_sqlstring(value: Value) -> str:
    values = [value] if isinstance(value, str) else value
    return ",".join("'" + each.replace("'", "''").replace('"', '\\"') + "'" for each in values)


def _with_macros(sql: str, start: datetime, end: datetime) -> str:
    since, until = (f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'" for moment in (start, end))
    macros: dict[str, Callable[..., str]] = {
        "__timeFilter": lambda column: f"{column} BETWEEN {since} AND {until}",
        "__timeFrom": lambda _: since,
        "__timeTo": lambda _: until,
        "__timeGroup": _time_group,
        "__timeGroupAlias": lambda *given: f'{_time_group(*given)} AS "time"',
    }

    def replaced(match: re.Match[str]) -> str:
        name, given = match[1], [part.strip() for part in match[2].split(",")]
        if name not in macros:
            raise ValueError(f"unknown macro {match[0]}")
        return macros[name](*given)

    return _MACRO.sub(replaced, sql)


def _time_group(column: str, interval: str, fill: str = "NULL") -> str:
    """Fill is what Grafana puts where no row came; it leaves no trace in the SQL."""
    if fill not in ("NULL", "previous"):
        float(fill)
    seconds = _seconds(interval.strip("'"))
    return f"floor(extract(epoch from {column})/{seconds})*{seconds}"


def _seconds(interval: str) -> int:
    return int(interval[:-1]) * _UNITS[interval[-1]]


class AlertRule(NamedTuple):
    """One rule: its SQL gives numbers, and those beyond the threshold raise an alert."""

    rule: dict[str, Any]
    query: dict[str, Any]
    condition: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.rule["title"])

    def fires(self, value: float) -> bool:
        """Whether Grafana's threshold holds for a number."""
        ((evaluator,),) = ([each["evaluator"]] for each in self.condition["model"]["conditions"])
        (limit,) = evaluator["params"]
        return bool({"gt": value > limit, "lt": value < limit}[evaluator["type"]])


def alert_rules() -> list[AlertRule]:
    """All rules of the provisioned files."""
    document = yaml.safe_load((ALERTING / "rules.yaml").read_text())
    return [AlertRule(rule, *rule["data"]) for group in document["groups"] for rule in group["rules"]]
