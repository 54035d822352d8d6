"""HTML page of a replay: its months as a chart and as a table. Pure."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import astuple, fields

from matplotlib.figure import Figure

from deposit.console import shown
from deposit.replay.state import ReplayedMonth

_COLORS = {"stable": "#2e8b57", "population shift": "#1f5fa8", "decay": "#e08214", "data fault": "#c0392b"}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font-family:sans-serif;margin:2em;max-width:75em}}table{{border-collapse:collapse;font-size:.85em}}
td,th{{border-bottom:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}}img{{max-width:100%}}</style>
<h1>{title}</h1><img alt="ROC AUC, subscription rate and profit by month" src="data:image/png;base64,{image}">
<table><tr>{head}</tr>{rows}</table></html>
"""


def page(title: str, months: Sequence[ReplayedMonth]) -> str:
    """Render the page, which is self-contained."""
    image = io.BytesIO()
    _chart(months).savefig(image, format="png", dpi=110)
    head = "".join(f"<th>{field.name.replace('_', ' ')}</th>" for field in fields(ReplayedMonth))
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(shown(value))}</td>" for value in astuple(month)) + "</tr>"
        for month in months
    )
    return _PAGE.format(
        title=html.escape(title), image=base64.b64encode(image.getvalue()).decode(), head=head, rows=rows
    )


def _chart(months: Sequence[ReplayedMonth]) -> Figure:
    figure = Figure(figsize=(13, 9), layout="constrained")
    ranks, rates, money = figure.subplots(3, 1, sharex=True)
    places = range(len(months))
    ranks.plot(places, [month.roc_auc for month in months], color="#444444")
    for place, month in enumerate(months):
        if month.roc_auc is not None:
            ranks.scatter(place, month.roc_auc, color=_COLORS[month.verdict], zorder=3)
        if month.action.endswith("released"):
            ranks.axvline(place, color="#bbbbbb", linestyle=":")
    for verdict, color in _COLORS.items():
        ranks.scatter([], [], color=color, label=verdict)
    ranks.axhline(0.5, color="#cccccc")
    ranks.set_title("ROC AUC and verdict; a dotted line is a release after that month", loc="left")
    ranks.legend(ncols=4, frameon=False)
    rates.bar(places, [month.rate for month in months], color="#8a8a8a")
    rates.set_title("Subscription rate", loc="left")
    for name, color in (("profit", "#1f5fa8"), ("profit_call_everyone", "#8a8a8a")):
        total, summed = 0.0, []
        for month in months:
            total += getattr(month, name) or 0.0
            summed.append(total)
        money.plot(places, summed, color=color, label=name.replace("_", " "))
    money.set_title("Cumulative profit, and that of calling everyone", loc="left")
    money.legend(frameon=False)
    money.set_xticks(places, [month.period for month in months], rotation=60)
    return figure
