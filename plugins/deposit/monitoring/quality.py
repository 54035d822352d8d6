"""What is broken in a period's data, as opposed to changed in the world. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt

from deposit.model.reference import Histogram, ReferenceProfile
from deposit.monitoring.performance import ENOUGH, rate
from deposit.monitoring.profile import BinnedOutcomes, ColumnProfile, PeriodProfile

OUTCOMES = "outcomes"
"""What was stated of the predictions, among the columns that can be broken."""
_OUTSIDE_SHARE, _OUTSIDE_ROWS = 0.001, 5
_UNKNOWN_MORE, _SIGMAS = 0.1, 4.0
_CHANCE = 1e-6


@dataclass(frozen=True)
class Fault:
    """A column, or `OUTCOMES`, and what is wrong with it, in words."""

    column: str
    what: str


def faults(reference: ReferenceProfile, observed: PeriodProfile) -> list[Fault]:
    """All faults of a period, by column; those of the outcomes last."""
    found = []
    for name, counts in observed.columns.items():
        what = _fault(reference.columns[name], counts, observed.rows)
        if what:
            found.append(Fault(name, what))
    what = _outcomes_fault(reference, observed.scored)
    return [*found, Fault(OUTCOMES, what)] if what else found


def shares(counts: ColumnProfile, rows: int) -> Mapping[str, float]:
    """A column's quality as shares of the rows."""
    return {"unknown": counts.unknown / rows, "outside": counts.outside / rows, "constant": float(counts.constant)}


def _fault(histogram: Histogram, counts: ColumnProfile, rows: int) -> str:
    outside, unknown = counts.outside / rows, counts.unknown / rows
    if counts.outside >= _OUTSIDE_ROWS and outside > _OUTSIDE_SHARE:
        return f"{outside:.1%} of its values are missing or not allowed"
    usual = histogram.unknown_share
    more = unknown - usual
    if more > max(_UNKNOWN_MORE, _SIGMAS * sqrt(max(usual * (1 - usual), 1 / rows) / rows)):
        return f"{unknown:.0%} are unknown, never more than {usual:.0%} before"
    if counts.constant and not _by_chance(histogram.mode_share, rows):
        return f"all {rows:,} rows have one value, never more than {histogram.mode_share:.0%} before"
    return ""


def _outcomes_fault(reference: ReferenceProfile, scored: BinnedOutcomes) -> str:
    known, subscribed = int(scored.rows.sum()), rate(scored)
    if known < ENOUGH or 0 < subscribed < 1:
        return ""
    if _by_chance(reference.highest_rate if subscribed else 1 - reference.lowest_rate, known):
        return ""
    low, high = (f"{share:.1%}" for share in (reference.lowest_rate, reference.highest_rate))
    before = f"{low} to {high} in the months of training" if low != high else f"{low} in training"
    return f"all {known:,} that are known are `{'yes' if subscribed else 'no'}`, the share that subscribed was {before}"


def _by_chance(share: float, rows: int) -> bool:
    """Whether so many rows may have one value by chance, had it its highest share of any period."""
    return share > 0 and rows * log(share) >= log(_CHANCE)
