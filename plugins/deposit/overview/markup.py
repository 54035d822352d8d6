"""The page as HTML: what was read becomes words here, and nowhere else."""

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
"""Files that the page asks for, by name; those of the marketing page are the same files."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy of the page."""
CARD_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
"""Of a model card, which runs no script."""
REPORT_POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
"""Of a report: its scripts run, but as nobody's, so that what they were made of cannot act for who reads it."""
_STEPS = 20
CURVE_TITLES = {
    CurveName.ROC_AUC: "ROC AUC",
    CurveName.RATE: "Subscribed, of known outcomes",
    CurveName.PROFIT: "Profit of the chosen calls",
}
_T = TypeVar("_T", PeriodAssessment, MonthWorth, TimelineEntry)


def page(snapshot: Snapshot, triggers: Sequence[Trigger], links: Mapping[str, str], now: datetime) -> str:
    """The whole page.

    Args:
        snapshot: what stands.
        triggers: the buttons that whoever looks may press.
        links: addresses of the other parts of the stack by title.
        now: in UTC.
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


def drawn(figures: MonthlyFigures) -> dict[str, Any]:
    """What the page's scripts draw of a registered model's months."""
    return {
        "name": figures.name,
        "periods": figures.periods,
        "models": figures.models,
        "changes": figures.changes,
        "curves": {name: vars(curve) for name, curve in figures.curves.items()},
    }


def shown(value: float | None, curve: CurveName) -> str:
    """A value of a curve as text."""
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
        auto_reload=False,  # a file that an upgrade brings is for the code that comes with it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "worth": describe_worth, "shown_as": shown, "drawn": drawn}
    environment.globals |= {"titles": CURVE_TITLES, "heatmap": heatmap}
    return environment


@dataclass(frozen=True)
class ModelSection:
    """What the months of one registered model were, the newest first; its figures are None before any was monitored."""

    name: str
    figures: MonthlyFigures | None
    verdicts: Sequence[PeriodAssessment]
    worths: Sequence[MonthWorth]
    steps: Sequence[TimelineEntry]

    @property
    def together(self) -> Worth | None:
        """The worth of all months; None if it is known of none."""
        return sum_of([each.worth for each in self.worths]) if self.worths else None

    @property
    def rated(self) -> bool:
        """Whether it is known of any month what the rate table would have earned."""
        return any(each.worth.rates is not None for each in self.worths)


def _sections(snapshot: Snapshot) -> list[ModelSection]:
    """Production's first, though there be none, then those of a replay and the like; none without PostgreSQL."""
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
    """By registered model; what is of no model, as a run that failed, is production's."""
    groups: dict[str, list[_T]] = defaultdict(list)
    for each in items:
        groups[registered_name(each.model_id) or production].append(each)
    return groups


def _age(age: ModelAge | None) -> str:
    """How old the model that serves is, and what follows."""
    if age is None:
        return "Its age is not known yet: deposit_monitor counts it once predictions were logged."
    since = f"{age.months} month{'' if age.months == 1 else 's'} since its last training month"
    if age.is_expired:
        return f"{since}, more than {age.replace_after}: the rate table takes its place."
    if age.is_stale:
        return f"{since}, more than {age.stale_after}: its answers say that it is stale."
    return f"{since}; stale after {age.stale_after}, replaced after {age.replace_after}."


def _backlog(backlog: Backlog | None, now: datetime) -> dict[str, Any]:
    """What waits, how long, and whether somebody must look."""
    if backlog is None:
        return {"bad": False, "rows": "none", "text": "The shipper has not reported yet."}
    reported = f"reported {_moment(backlog.at)}"
    texts = {
        Shipping.SILENT: f"The shipper is silent since {_moment(backlog.at)}: deposit status says whether it runs.",
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


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
