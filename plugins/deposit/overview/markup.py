"""Renders the page as HTML. All texts of the page are made here and in the template."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deposit.events import TimelineEntry
from deposit.model.worth import Worth, describe_worth, sum_of
from deposit.monitoring.earnings import MonthWorth
from deposit.monitoring.status import PeriodAssessment
from deposit.overview.heatmap import heatmap
from deposit.overview.monthly import CurveName, ModelAge, MonthlyFigures
from deposit.overview.snapshot import Backlog, Shipping, Snapshot
from deposit.overview.triggers import Trigger
from deposit.registry.model_ids import registered_name
from deposit.settings import REPOSITORY

_FOLDER = Path(__file__).parent / "static"
_SHARED = REPOSITORY / "bento" / "serving" / "static"
ASSETS: Mapping[str, Path] = {
    path.name: path
    for path in (
        *(_SHARED / name for name in ("vendor/pico.min.css", "vendor/uplot.css", "vendor/uplot.js")),
        *(_SHARED / name for name in ("theme.css", "dom.js")),
        *(_FOLDER / name for name in ("overview.css", "overview.js", "charts.js", "runs.js", "airflow.js")),
    )
}
"""Static files of the page by name; some are shared with the marketing page."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy of the page."""
CARD_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""Content-Security-Policy of a model card, which has no scripts."""
REPORT_POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
"""Content-Security-Policy of a report: scripts run in an opaque origin, so data in it cannot act with the user's login.
"""
_STEPS = 20
CURVE_TITLES = {
    CurveName.ROC_AUC: "ROC AUC",
    CurveName.RATE: "Subscribed, of known outcomes",
    CurveName.PROFIT: "Profit of the chosen calls",
}
_T = TypeVar("_T", PeriodAssessment, MonthWorth, TimelineEntry)


def page(snapshot: Snapshot, triggers: Sequence[Trigger], links: Mapping[str, str], now: datetime) -> str:
    """Render the page.

    Args:
        snapshot: content of the page.
        triggers: buttons that the user is allowed to use.
        links: URLs of the other services of the stack, by title.
        now: current time in UTC.
    """
    return (
        _environment()
        .get_template("overview.html")
        .render(
            snapshot=snapshot,
            records=snapshot.records,
            champion=snapshot.contenders.champion if snapshot.contenders else None,
            triggers=triggers,
            links=links,
            now=now,
            sections=_sections(snapshot),
            age=_age(snapshot.records.age) if snapshot.records else "",
            backlog=_backlog(snapshot.records.backlog, now) if snapshot.records else None,
        )
    )


def chart_data(figures: MonthlyFigures) -> dict[str, Any]:
    """Return the JSON from which the page's scripts draw the charts of a registered model."""
    return {
        "name": figures.name,
        "periods": figures.periods,
        "models": figures.models,
        "changes": figures.changes,
        "curves": {name: vars(curve) for name, curve in figures.curves.items()},
    }


def format_value(value: float | None, curve: CurveName) -> str:
    """Format a value of a curve."""
    if value is None:
        return "not known"
    return {
        CurveName.ROC_AUC: f"{value:.3f}",
        CurveName.RATE: f"{value * 100:.1f} %",
        CurveName.PROFIT: f"{value:,.0f}",
    }[curve]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        auto_reload=False,  # a template changed by an upgrade needs the code of that upgrade
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": _format_time, "worth": describe_worth, "value": format_value, "chart_data": chart_data,
    }  # fmt: skip
    environment.globals |= {"titles": CURVE_TITLES, "heatmap": heatmap}
    return environment


@dataclass(frozen=True)
class ModelSection:
    """The months of one registered model, newest first; `figures` is None until a month was monitored."""

    name: str
    figures: MonthlyFigures | None
    verdicts: Sequence[PeriodAssessment]
    worths: Sequence[MonthWorth]
    steps: Sequence[TimelineEntry]

    @property
    def together(self) -> Worth | None:
        """Total worth of all months; None if it is not known for any."""
        return sum_of([each.worth for each in self.worths]) if self.worths else None

    @property
    def rated(self) -> bool:
        """Whether the profit of the rate table is known for any month."""
        return any(each.worth.rates is not None for each in self.worths)


def _sections(snapshot: Snapshot) -> list[ModelSection]:
    """Return the section of production, even if it is empty, then those of other registered models, like a replay's.

    Returns no sections if PostgreSQL is down.
    """
    records, production = snapshot.records, snapshot.name
    if records is None:
        return []
    verdicts, worths = _grouped(records.verdicts, production), _grouped(records.worths, production)
    steps = _grouped(records.timeline, production)
    others = {*records.figures, *verdicts, *worths, *steps} - {production}
    return [
        ModelSection(
            name,
            records.figures.get(name),
            verdicts.get(name, []),
            worths.get(name, []),
            steps.get(name, [])[:_STEPS],
        )
        for name in (production, *sorted(others))
    ]


def _grouped(items: Iterable[_T], production: str) -> dict[str, list[_T]]:
    """Group items by registered model; items without a model, like a failed run, belong to production."""
    groups: dict[str, list[_T]] = defaultdict(list)
    for each in items:
        groups[registered_name(each.model_id) or production].append(each)
    return groups


def _age(age: ModelAge | None) -> str:
    """Describe the age of the live model and its consequence."""
    if age is None:
        return "Its age is not known yet: deposit_monitor computes it once predictions are logged."
    since = f"{age.months} month{'' if age.months == 1 else 's'} since its last training month"
    if age.is_expired:
        return f"{since}, more than {age.replace_after}: the rate table takes its place."
    if age.is_stale:
        return f"{since}, more than {age.stale_after}: its responses are marked as stale."
    return f"{since}; stale after {age.stale_after}, replaced after {age.replace_after}."


def _backlog(backlog: Backlog | None, now: datetime) -> dict[str, Any]:
    """Describe the backlog: rows, age, and whether it needs attention."""
    if backlog is None:
        return {"bad": False, "rows": "none", "text": "The shipper has not reported yet."}
    reported = f"reported {_format_time(backlog.at)}"
    texts = {
        Shipping.SILENT: f"No report from the shipper since {_format_time(backlog.at)}: check deposit status.",
        Shipping.LATE: f"The oldest has waited {_duration(backlog.oldest_seconds)}: see the shipper's log.",
        Shipping.WELL: f"The oldest has waited {_duration(backlog.oldest_seconds)}, {reported}."
        if backlog.rows
        else f"Nothing waits, {reported}.",
    }
    shipping = backlog.shipping(now)
    aside = f" {backlog.aside_rows:,} rows were set aside: see the shipper's log." if backlog.aside_rows else ""
    bad = shipping is not Shipping.WELL or backlog.aside_rows > 0
    return {"bad": bad, "rows": f"{backlog.rows:,}", "text": texts[shipping] + aside}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
