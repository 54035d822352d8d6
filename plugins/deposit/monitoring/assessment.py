"""The verdict on a period: one of four, in one sentence. The whole rule is `judge`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deposit.model.evaluation import Economics, Interval
from deposit.model.reference import ReferenceProfile
from deposit.monitoring.drift import Drift, drift
from deposit.monitoring.performance import base_rate_shifted, degradations, performance, ranking_known
from deposit.monitoring.profile import PeriodProfile
from deposit.monitoring.quality import Fault, faults
from deposit.monitoring.status import PeriodStatus


@dataclass(frozen=True)
class Classification:
    """A kind with its reason as a sentence."""

    kind: PeriodStatus
    sentence: str


def classify(
    faults: Sequence[Fault], declines: Sequence[str] | None, moved: Sequence[str], ranked: bool
) -> Classification:
    """The first of these that holds.

    Args:
        faults: what is broken in the data; nothing else can be believed then.
        declines: in what the model does worse than expected; None if too few outcomes are known.
        moved: columns whose distribution has moved, the score and the rate among them.
        ranked: whether `declines` can tell how well the model ranks, and not its probabilities alone.
    """
    if faults:
        return Classification(
            PeriodStatus.DATA_QUALITY_FAILURE,
            "The data is broken: " + "; ".join(f"{f.column}: {f.what}" for f in faults),
        )
    shifted = f"the population has moved ({', '.join(moved)})" if moved else "the population is as in training"
    if declines:
        return Classification(
            PeriodStatus.PERFORMANCE_DEGRADED, f"The model has decayed: {' and '.join(declines)}; {shifted}"
        )
    kind = PeriodStatus.DATA_DRIFT if moved else PeriodStatus.STABLE
    return Classification(kind, f"{shifted[0].upper()}{shifted[1:]}; {_held(declines is not None, ranked)}")


def _held(calibrated: bool, ranked: bool) -> str:
    if not calibrated:
        return "too few outcomes are known to tell how good it was"
    if not ranked:
        return "the model's probabilities are as good as ever, how well it ranks cannot be told"
    return "the model is as good as ever"


RATE = "the share that subscribes"


@dataclass(frozen=True)
class Assessment:
    """A verdict and what it rests on; `performance` has what the known outcomes can tell."""

    verdict: Classification
    drifts: Mapping[str, Drift]
    performance: Mapping[str, Interval]


def assess(
    observed: PeriodProfile,
    reference: ReferenceProfile,
    threshold: float,
    expected: Mapping[str, float],
    economics: Economics,
) -> Assessment:
    """Judge a model's period; `expected` are its metrics out of time, with their bounds."""
    drifts = {name: drift(reference.columns[name].counts, found.counts) for name, found in observed.columns.items()}
    measured = performance(observed.scored, threshold, economics)
    moved = [name for name, found in drifts.items() if found.moved]
    if measured and base_rate_shifted(reference.rate, observed.scored):
        moved.append(RATE)
    declines = degradations(expected, measured) if measured else None
    verdict = classify(faults(reference, observed), declines, moved, ranking_known(expected, measured))
    return Assessment(verdict, drifts, measured)
