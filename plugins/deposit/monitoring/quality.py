"""What is broken in a period's data, as opposed to changed in the world. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt

from deposit.model.reference import Histogram, Reference
from deposit.monitoring.observed import ColumnCounts, Observed

_OUTSIDE_SHARE, _OUTSIDE_ROWS = 0.001, 5
_UNKNOWN_MORE, _SIGMAS = 0.1, 4.0
_CHANCE = 1e-6


@dataclass(frozen=True)
class Fault:
    """A column and what is wrong with it, in words."""

    column: str
    what: str


def faults(reference: Reference, observed: Observed) -> list[Fault]:
    """All faults of a period, by column."""
    found = []
    for name, counts in observed.columns.items():
        what = _fault(reference.columns[name], counts, observed.rows)
        if what:
            found.append(Fault(name, what))
    return found


def shares(counts: ColumnCounts, rows: int) -> Mapping[str, float]:
    """A column's quality as shares of the rows."""
    return {"unknown": counts.unknown / rows, "outside": counts.outside / rows, "constant": float(counts.constant)}


def _fault(histogram: Histogram, counts: ColumnCounts, rows: int) -> str:
    outside, unknown = counts.outside / rows, counts.unknown / rows
    if counts.outside >= _OUTSIDE_ROWS and outside > _OUTSIDE_SHARE:
        return f"{outside:.1%} of its values are missing or not allowed"
    usual = histogram.unknown_share
    more = unknown - usual
    if more > max(_UNKNOWN_MORE, _SIGMAS * sqrt(max(usual * (1 - usual), 1 / rows) / rows)):
        return f"{unknown:.0%} are unknown, never more than {usual:.0%} before"
    # that so many rows share the value by chance, had it its highest share of any period
    if counts.constant and rows * log(histogram.mode_share) < log(_CHANCE):
        return f"all {rows:,} rows have one value, never more than {histogram.mode_share:.0%} before"
    return ""
