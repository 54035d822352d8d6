"""Data quality faults of a period, as opposed to real changes in the population. Pure."""

from collections.abc import Mapping
from math import log, sqrt

from deposit.model.reference import Histogram, ReferenceProfile
from deposit.monitoring.performance import MIN_OUTCOMES, SIGMAS, rate
from deposit.monitoring.profile import BinnedOutcomes, ColumnProfile, PeriodProfile
from deposit.monitoring.status import Deviation, MonitoringRule

OUTCOMES = "outcomes"
"""Name of the outcomes among the columns that can be faulty."""
MAX_INVALID_SHARE, MIN_INVALID_ROWS = 0.001, 5
"""Missing or invalid values are a fault above this share, if there are at least so many rows."""
MAX_UNKNOWN_GAIN = 0.1
"""How far the share of `unknown` may exceed its highest monthly value in training, beyond noise."""
CHANCE = 1e-6
"""One value in all rows is a fault if it is less likely than this, given the highest share of the value in training."""


def faults(reference: ReferenceProfile, observed: PeriodProfile) -> list[Deviation]:
    """All faults of a period: those of the columns, then that of the outcomes."""
    by_column = [
        column_fault(name, reference.columns[name], counts, observed.rows) for name, counts in observed.columns.items()
    ]
    return [fault for fault in (*by_column, outcomes_fault(reference, observed.scored)) if fault]


def shares(counts: ColumnProfile, rows: int) -> Mapping[str, float]:
    """Quality metrics of a column, as shares of the rows."""
    return {"unknown": counts.unknown / rows, "outside": counts.outside / rows, "constant": float(counts.constant)}


def column_fault(column: str, histogram: Histogram, counts: ColumnProfile, rows: int) -> Deviation | None:
    """The fault of a column in a period, if any."""
    invalid, unknown = counts.outside / rows, counts.unknown / rows
    if counts.outside >= MIN_INVALID_ROWS and invalid > MAX_INVALID_SHARE:
        return Deviation(MonitoringRule.INVALID_VALUES, column, invalid, (0.0, 0.0), MAX_INVALID_SHARE, rows)
    usual = histogram.unknown_share
    tolerance = max(MAX_UNKNOWN_GAIN, SIGMAS * sqrt(max(usual * (1 - usual), 1 / rows) / rows))
    if unknown - usual > tolerance:
        return Deviation(MonitoringRule.UNKNOWN_VALUES, column, unknown, (0.0, usual), tolerance, rows)
    if counts.constant and not _by_chance(histogram.mode_share, rows):
        return Deviation(MonitoringRule.SINGLE_VALUE, column, 1.0, (0.0, histogram.mode_share), CHANCE, rows)
    return None


def outcomes_fault(reference: ReferenceProfile, scored: BinnedOutcomes) -> Deviation | None:
    """A fault if all outcomes are alike and this is unlikely to be chance."""
    known, subscribed = int(scored.rows.sum()), rate(scored)
    if known < MIN_OUTCOMES or 0 < subscribed < 1:
        return None
    if _by_chance(reference.highest_rate if subscribed else 1 - reference.lowest_rate, known):
        return None
    expected = reference.lowest_rate, reference.highest_rate
    return Deviation(MonitoringRule.SINGLE_OUTCOME, OUTCOMES, subscribed, expected, CHANCE, known)


def _by_chance(share: float, rows: int) -> bool:
    """Whether this many rows may have one value by chance, at its highest share in any period."""
    return share > 0 and rows * log(share) >= log(CHANCE)
