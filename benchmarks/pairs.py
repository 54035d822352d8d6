"""Promotion gates on all pairs of champion and challenger: decided on one labelled month, checked on the next. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deposit.model import metrics
from deposit.model.evaluation import MONTH_ROWS, bootstrap_weights, interval
from deposit.model.metrics import RankedScores
from deposit.model.mixture import Values
from deposit.training.rolling_origin import ForwardPredictions
from deposit.training.weighting import sigmoid

STALENESS = (0, 1, 3, 6)
"""Numbers of months by which a champion is older than its challenger."""
MAX_AUC_LOSS = 0.02
_RESAMPLES, _SEED = 200, 7


@dataclass(frozen=True)
class GateRecord:
    """Track record of a gate over all pairs: shares, with an interval from resampling months."""

    promotes: float
    right: float
    right_low: float
    right_high: float
    better_if_promoted: float


@dataclass(frozen=True)
class GateRecords:
    """Track records by gate, the number of pairs, and the number of months."""

    records: Mapping[str, GateRecord]
    pairs: int
    months: int


@dataclass(frozen=True, eq=False)
class _Month:
    """Metrics of one month for all models that were not fitted on it, in the same order."""

    losses: Values
    samples: Values
    auc_samples: Values
    f1: Values
    accuracy: Values


def evaluate_gates(forward: ForwardPredictions, stale: Mapping[tuple[int, int], Values]) -> GateRecords:
    """Evaluate every gate on every pair: all recipes against each other, with champions up to six months older."""
    folds, count = forward.folds, len(forward.recipes)
    rows = [forward.rows(fold.period) for fold in folds]
    decisions: dict[str, list[list[tuple[bool, bool]]]] = {}
    places = [place for place in range(len(folds) - 1) if min(rows[place].sum(), rows[place + 1].sum()) >= MONTH_ROWS]
    for place in places:
        origins = [place - age for age in STALENESS if place >= age]
        now, after = (_month(forward, rows[each], [stale[o, each] for o in origins]) for each in (place, place + 1))
        month: dict[str, list[tuple[bool, bool]]] = {}
        for challenger in range(count):
            for champion in range(count * len(origins)):
                if champion == challenger:
                    continue
                truth = bool(after.losses[challenger] < after.losses[champion])
                same = champion % count == challenger
                for name, promote in _gates(now, challenger, champion, same).items():
                    month.setdefault(name, []).append((promote, truth))
        for name, pairs in month.items():
            decisions.setdefault(name, []).append(pairs)
    records = {name: _record(months) for name, months in decisions.items()}
    return GateRecords(records, sum(len(pairs) for pairs in next(iter(decisions.values()))), len(places))


def _month(forward: ForwardPredictions, rows: np.ndarray, log_odds: list[Values]) -> _Month:
    labels, probabilities = forward.labels[rows], sigmoid(np.concatenate(log_odds))
    losses = np.array([metrics.log_losses(labels, each) for each in probabilities])
    weights = np.concatenate(list(bootstrap_weights(forward.periods[rows], _RESAMPLES, _SEED)))
    called, ones = probabilities >= 0.5, np.ones((1, len(labels)))
    return _Month(
        losses.mean(axis=1),
        weights @ losses.T / len(labels),
        np.stack([RankedScores(labels, each, weights).roc_auc() for each in probabilities], axis=1),
        np.array([metrics.f1(labels, each, ones)[0] for each in called]),
        np.array([metrics.mean(each == (labels == 1), ones)[0] for each in called]),
    )


def _gates(now: _Month, challenger: int, champion: int, same: bool) -> dict[str, bool]:
    low, high = interval(now.samples[:, challenger] - now.samples[:, champion], 0.95)
    clearly_better, not_worse = high < 0, low <= 0
    _, auc_high = interval(now.auc_samples[:, challenger] - now.auc_samples[:, champion], 0.95)
    ranks = auc_high >= -MAX_AUC_LOSS
    return {
        "always": True,
        "log loss lower": bool(now.losses[challenger] < now.losses[champion]),
        "clearly better (95 % interval below 0)": clearly_better,
        "clearly better, and AUC not clearly worse by .02 (rule for a change of the table)": clearly_better and ranks,
        "not clearly worse (rule for a refresh)": not_worse,
        "**the policy**: refresh for the same recipe, change for another": not_worse
        if same
        else clearly_better and ranks,
        "F1 at .5 higher": bool(now.f1[challenger] > now.f1[champion]),
        "accuracy at .5 higher": bool(now.accuracy[challenger] > now.accuracy[champion]),
    }


def _record(months: list[list[tuple[bool, bool]]]) -> GateRecord:
    table = [np.array(pairs) for pairs in months]
    right = np.array([(pairs[:, 0] == pairs[:, 1]).sum() for pairs in table], dtype=np.float64)
    sizes = np.array([len(pairs) for pairs in table], dtype=np.float64)
    drawn = np.random.default_rng(_SEED).integers(len(table), size=(1000, len(table)))
    low, high = interval(right[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), 0.95)
    pairs = np.concatenate(table)
    promoted = pairs[pairs[:, 0]]
    better = float(promoted[:, 1].mean()) if len(promoted) else float("nan")
    return GateRecord(float(pairs[:, 0].mean()), float(right.sum() / sizes.sum()), low, high, better)
