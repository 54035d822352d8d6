"""Assessment of a model's period: deviations, the resulting status, and a one-sentence description. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deposit.model.evaluation import Economics, Interval
from deposit.model.reference import ReferenceProfile
from deposit.monitoring.drift import Drift, drift
from deposit.monitoring.performance import base_rate_shifted, degradations, performance, profits_by_rates, ranking_known
from deposit.monitoring.profile import PeriodProfile
from deposit.monitoring.quality import faults
from deposit.monitoring.status import Deviation, MonitoringRule, PeriodStatus

RATE = "the share that subscribes"
"""Name of the base rate in the list of what has drifted."""


@dataclass(frozen=True)
class Assessment:
    """A period compared with training.

    Args:
        faults: data quality faults; if there are any, the rest is not reliable.
        degradations: metrics that are worse than expected; None if too few outcomes are known.
        drifts: distances from training by column, including the score.
        rate_shifted: whether the base rate differs from that in training.
        ranking_known: whether `degradations` cover ranking, or only the probabilities.
        performance: metrics with their intervals, as far as the known outcomes allow.
    """

    faults: Sequence[Deviation]
    degradations: Sequence[Deviation] | None
    drifts: Mapping[str, Drift]
    rate_shifted: bool
    ranking_known: bool
    performance: Mapping[str, Interval]

    @property
    def drifted(self) -> list[str]:
        """Names of all that has drifted: columns, the score and the base rate."""
        return [name for name, each in self.drifts.items() if each.drifted] + [RATE] * self.rate_shifted

    @property
    def status(self) -> PeriodStatus:
        """The most severe status that applies."""
        if self.faults:
            return PeriodStatus.DATA_QUALITY_FAILURE
        if self.degradations:
            return PeriodStatus.PERFORMANCE_DEGRADED
        return PeriodStatus.DATA_DRIFT if self.drifted else PeriodStatus.STABLE


def assess(
    observed: PeriodProfile,
    reference: ReferenceProfile,
    threshold: float,
    expected: Mapping[str, float],
    economics: Economics,
) -> Assessment:
    """Compare a period with training; `expected` are the model's rolling-origin metrics, with their bounds."""
    metrics = performance(observed.scored, threshold, economics)
    known = int(observed.scored.rows.sum())
    return Assessment(
        faults=faults(reference, observed),
        degradations=degradations(expected, metrics, known) if metrics else None,
        drifts={name: drift(reference.columns[name].counts, now.counts) for name, now in observed.columns.items()},
        rate_shifted=bool(metrics) and base_rate_shifted(reference.rate, observed.scored),
        ranking_known=ranking_known(expected, metrics),
        performance={**metrics, **profits_by_rates(observed.scored_by_rates, economics)},
    )


def describe(assessment: Assessment) -> str:
    """The assessment in one sentence; all of monitoring's wording is here."""
    if assessment.faults:
        return "The data is broken: " + "; ".join(f"{each.column}: {_words(each)}" for each in assessment.faults)
    drifted = assessment.drifted
    population = f"the population has shifted ({', '.join(drifted)})" if drifted else "the population is as in training"
    if assessment.degradations:
        return f"The model has decayed: {' and '.join(map(_words, assessment.degradations))}; {population}"
    if assessment.degradations is None:
        model = "too few outcomes are known to assess the model"
    elif assessment.ranking_known:
        model = "the model performs as expected"
    else:
        model = "the model's probabilities are as expected, but its ranking cannot be assessed"
    return f"{population[0].upper()}{population[1:]}; {model}"


def _words(deviation: Deviation) -> str:
    observed, (low, high), rows = deviation.observed, deviation.expected, deviation.rows
    match deviation.rule:
        case MonitoringRule.INVALID_VALUES:
            return f"{observed:.1%} of its values are missing or not allowed"
        case MonitoringRule.UNKNOWN_VALUES:
            return f"{observed:.0%} are unknown, never more than {high:.0%} before"
        case MonitoringRule.SINGLE_VALUE:
            return f"all {rows:,} rows have one value, never more than {high:.0%} before"
        case MonitoringRule.SINGLE_OUTCOME:
            lowest, highest = f"{low:.1%}", f"{high:.1%}"
            before = (
                f"{lowest} in training" if lowest == highest else f"{lowest} to {highest} in the months of training"
            )
            answer = "yes" if observed else "no"
            return f"all {rows:,} known outcomes are `{answer}`, the subscription rate was {before}"
        case MonitoringRule.RANKING:
            return f"it ranks worse than expected (ROC AUC {observed:.3f}, expected {high:.3f})"
        case MonitoringRule.CALIBRATION:
            return f"its probabilities are off by {observed:.2f} (expected {low:.2f})"
