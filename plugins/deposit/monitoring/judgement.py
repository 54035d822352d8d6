"""What a period's counts say beside a model's training: drift by column, performance, a verdict. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deposit.model.evaluation import Economics, Interval
from deposit.model.reference import Reference
from deposit.monitoring.drift import Drift, drift
from deposit.monitoring.observed import Observed
from deposit.monitoring.performance import decline, performance, ranking_known, rate_moved
from deposit.monitoring.quality import faults
from deposit.monitoring.verdict import Verdict, judge

RATE = "the share that subscribes"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on; `performance` has what the known outcomes can tell."""

    verdict: Verdict
    drifts: Mapping[str, Drift]
    performance: Mapping[str, Interval]


def judged(
    observed: Observed, reference: Reference, threshold: float, expected: Mapping[str, float], economics: Economics
) -> Judgement:
    """Judge a model's period; `expected` are its metrics out of time, with their bounds."""
    drifts = {name: drift(reference.columns[name].counts, found.counts) for name, found in observed.columns.items()}
    measured = performance(observed.scored, threshold, economics)
    moved = [name for name, found in drifts.items() if found.moved]
    if measured and rate_moved(reference.rate, observed.scored):
        moved.append(RATE)
    declines = decline(expected, measured) if measured else None
    verdict = judge(faults(reference, observed), declines, moved, ranking_known(expected, measured))
    return Judgement(verdict, drifts, measured)
