"""Charts of the model card as inline SVG without scripts or styles; the page's classes set the colours. Pure."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import accumulate

from deposit.training.card import CalibrationBin, CardMonth
from deposit.training.slices import Slices

_WIDTH, _HEIGHT = 360, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 34
_ROW = 18
_FEW = 20
"""Bins of probability with fewer calls get no point: a single call would look like a cliff."""


def months(curve: Sequence[CardMonth]) -> tuple[str, ...]:
    """ROC AUC by month, and cumulative profit next to that of calling everyone."""
    names = [each.period for each in curve]
    ranks: dict[str, list[float | None]] = {"model": [each.roc_auc for each in curve], "chance": [0.5] * len(curve)}
    money: dict[str, list[float | None]] = {
        "model": list(accumulate(each.profit for each in curve)),
        "calling everyone": list(accumulate(each.profit_call_everyone for each in curve)),
    }
    return _lines("ROC AUC by month", names, ranks), _lines("Cumulative profit", names, money)


def calibration(bins: Sequence[CalibrationBin]) -> str:
    """Subscription rate by mean probability, next to perfect calibration."""
    across, up = _scale(0, 1, _LEFT, _WIDTH - _RIGHT), _scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    points = [(across(each.predicted), up(each.observed)) for each in bins if each.rows >= _FEW]
    marks = _line([(across(0), up(0)), (across(1), up(1))], "b") + _line(points, "a")
    marks += "".join(f'<circle class="a" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    marks += _ticks_up(up, (0, 0.25, 0.5, 0.75, 1)) + "".join(
        _text(across(value), _HEIGHT - _BOTTOM + 14, f"{value:g}", "middle") for value in (0, 0.5, 1)
    )
    marks += _text(_WIDTH / 2, _HEIGHT - 4, "mean probability", "middle")
    return _figure("Subscription rate by mean probability; the dashed line is perfect calibration", marks, _HEIGHT)


def slices(measured: Slices) -> str:
    """ROC AUC of each group with its interval; the line is the ROC AUC of all calls."""
    rows = [each for each in measured.groups if each.roc_auc.value is not None and each.roc_auc.low is not None]
    bounds = [value for each in rows for value in (each.roc_auc.low, each.roc_auc.high) if value is not None]
    low, high = min([0.5, *bounds]), max([0.7, *bounds])
    across, height = _scale(low, high, 130, _WIDTH - _RIGHT), _ROW * len(rows) + 22
    marks = ""
    if measured.overall.roc_auc.value is not None:
        place = across(measured.overall.roc_auc.value)
        marks = _line([(place, 0), (place, height - 20)], "b")
    for number, each in enumerate(rows):
        y = number * _ROW + 11
        kind = "f" if each.roc_auc.flagged else "a"
        ends = [(across(value or 0), y) for value in (each.roc_auc.low, each.roc_auc.high)]
        marks += _text(124, y + 4, each.group, "end") + _line(ends, kind)
        marks += f'<circle class="{kind}" cx="{across(each.roc_auc.value or 0):.1f}" cy="{y}" r="3"/>'
    marks += "".join(
        _text(across(value), height - 4, f"{value:.2f}", "middle") for value in (low, (low + high) / 2, high)
    )
    return _figure("ROC AUC within months by group; the dashed line is the ROC AUC of all calls", marks, height)


def bars(sizes: Mapping[str, float]) -> str:
    """Horizontal bars, one for each column."""
    across = _scale(0, max([*sizes.values(), 1e-9]), 130, _WIDTH - 44)
    marks = ""
    for number, (name, size) in enumerate(sizes.items()):
        y = number * _ROW
        marks += _text(124, y + 13, name, "end") + _text(across(size) + 4, y + 13, f"{size:.2f}", "start")
        marks += f'<rect class="a" x="130" y="{y + 3}" width="{across(size) - 130:.1f}" height="12"/>'
    return _figure("Mean absolute contribution of a column, in log-odds", marks, _ROW * len(sizes))


def _lines(caption: str, names: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> str:
    """Line chart over months; the first series is the model, the others are dashed."""
    known = [value for values in series.values() for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    high = high if high > low else low + 1
    across = _scale(0, max(len(names) - 1, 1), _LEFT, _WIDTH - _RIGHT)
    up = _scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    marks = _ticks_up(up, [low + (high - low) * step / 4 for step in range(5)])
    for kind, values in zip("abb", series.values(), strict=False):
        marks += _line([(across(place), up(value)) for place, value in enumerate(values) if value is not None], kind)
    for place in sorted({0, len(names) // 2, len(names) - 1}) if names else ():
        anchor = "start" if place == 0 else "end" if place == len(names) - 1 else "middle"
        marks += _text(across(place), _HEIGHT - _BOTTOM + 14, names[place], anchor)
    others = ", ".join(list(series)[1:])
    return _figure(f"{caption}; dashed: {others}", marks, _HEIGHT)


def _figure(caption: str, marks: str, height: float) -> str:
    label = escape(caption)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{label}">{marks}</svg>'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _ticks_up(up: Callable[[float], float], values: Sequence[float]) -> str:
    return "".join(
        _line([(_LEFT, up(value)), (_WIDTH - _RIGHT, up(value))], "g")
        + _text(_LEFT - 4, up(value) + 4, f"{value:,.0f}" if abs(values[-1]) >= 10 else f"{value:.2f}", "end")
        for value in values
    )


def _line(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)
