"""The refit policy: what becomes of the model when a month's labels are known. Pure; the backtest and `select` ask it.

Refitted members and moved weights are a *refresh*: staleness is the known danger, so it passes unless it is clearly
worse. Another table of recipes is a *change*: it must be better beyond noise. Challenger and baseline are compared by
what each would have answered then, in months that it had not seen (decision 23).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.data.periods import ordinal
from deposit.model.artifact import Labels, Probabilities
from deposit.model.mixture import Values
from deposit.sections import SelectSettings
from deposit.selection.decision import ChallengeKind, Comparison, GateResult, Overtaken, SharedWindow
from deposit.selection.gate import PairedPredictions, by_accuracy_f1, must_be_better, must_not_be_worse

COMPARED_MONTHS = {ChallengeKind.FIRST: None, ChallengeKind.REFRESH: 3, ChallengeKind.CHANGE: 12}
"""Newest labelled months that are compared, pooled; None: all."""


@dataclass(frozen=True, eq=False)
class ChallengeHistory:
    """Rows, oldest first, with what the challenger and its baseline would have answered; arrays of shape (n,).

    Args:
        kind: of the challenge.
        periods: of the rows.
        labels: which are looked at only where they are known.
        challenger: of its table of recipes, each month fitted on the months before it.
        baseline: the champion's, or the rate of the months before; NaN where it has seen the month.
        challenger_thresholds: as they would have been then.
        baseline_thresholds: the same.
        baseline_end: the newest month that the baseline was trained on; empty for a rate.
    """

    kind: ChallengeKind
    periods: NDArray[np.str_]
    labels: Labels
    challenger: Probabilities
    baseline: Probabilities
    challenger_thresholds: Values
    baseline_thresholds: Values
    baseline_end: str


@dataclass(frozen=True)
class RefitPolicy:
    """Decides by the labels that are known, and by these alone.

    Args:
        rules: which criteria there are.
        delay: calendar months until a month's labels are known after its end.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    rules: SelectSettings
    delay: int = 0
    resamples: int = 500
    seed: int = 7

    def decide(self, history: ChallengeHistory, as_of: str) -> Comparison:
        """Whether the challenger is to answer from the month `as_of` (YYYY-MM) on, and why.

        A window without rows gives a result that is not passed; one outcome only does, unless it is a refresh, which
        only has to be not clearly worse.
        """
        months = [str(each) for each in np.unique(history.periods) if ordinal(str(each)) + self.delay < ordinal(as_of)]
        known = np.isin(history.periods, months)
        end = months[-1] if months else ""
        overtaken = Overtaken(history.baseline_end, end) if history.baseline_end > end else None
        comparable = known & np.isfinite(history.baseline) & (overtaken is None)
        newest = np.unique(history.periods[comparable])
        limit = COMPARED_MONTHS[history.kind]
        rows = comparable & np.isin(history.periods, newest if limit is None else newest[-limit:])
        periods, labels = history.periods[rows], history.labels[rows]
        first, last = (str(periods[0]), str(periods[-1])) if rows.any() else ("", "")
        window = SharedWindow(history.baseline_end or end, len(periods), first, last, len(np.unique(labels)))
        if not window.is_comparable and not (window.rows and history.kind is ChallengeKind.REFRESH):
            return Comparison(window, GateResult(()), history.kind, overtaken)
        paired = PairedPredictions(
            periods, labels, history.challenger[rows], history.baseline[rows],
            history.challenger_thresholds[rows], history.baseline_thresholds[rows],
        )  # fmt: skip
        return Comparison(window, self._judge(history.kind, paired), history.kind)

    def _judge(self, kind: ChallengeKind, paired: PairedPredictions) -> GateResult:
        if kind is ChallengeKind.FIRST:  # whatever the rule: a constant has no F1 to beat
            return must_be_better(paired, self.rules, self.resamples, self.seed)
        if self.rules.rule == "accuracy_f1":
            return by_accuracy_f1(paired)
        rule = must_not_be_worse if kind is ChallengeKind.REFRESH else must_be_better
        return rule(paired, self.rules, self.resamples, self.seed)
