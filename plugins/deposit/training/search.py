"""The search for the parameters of boosted trees, judged forward in time alone. Pure, and the same every time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import optuna
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.model import metrics
from deposit.model.encoder import Matrix
from deposit.progress import Progress
from deposit.training.fitting import EncodedRows, fit
from deposit.training.recipes import Recipe, Trees

TUNING_MONTHS = 3
"""The newest months that a search is judged on, each by the months before it."""
_BETWEEN_LOOKS = 2
"""Months that are judged before the pruner looks, side by side or not: the number of threads changes no result."""
_RECIPE = Recipe("trial", "xgboost")


@dataclass(frozen=True)
class Trial:
    """Parameters tried: the pooled log loss after each month; a pruned trial stops before the last."""

    trees: Trees
    losses: tuple[float, ...]
    pruned: bool


@dataclass(frozen=True)
class TuningResult:
    """The parameters with the lowest pooled log loss, and all that were tried."""

    best: Trees
    trials: tuple[Trial, ...]


@dataclass(frozen=True, eq=False)
class _Judged:
    """A month of the search: what is learned from, and what is predicted."""

    rows: EncodedRows
    matrix: Matrix
    labels: np.ndarray


def tune(
    months: Mapping[str, pd.DataFrame],
    labelled: Sequence[str],
    trials: int,
    seed: int,
    threads: int,
    progress: Progress,
) -> TuningResult:
    """The best of a small space: seeded TPE, median pruning over months, fixed parameters tried first.

    Args:
        months: rows by month.
        labelled: months that may be learned from, oldest first; more than `TUNING_MONTHS`.
        trials: how many are tried.
        seed: of the search and of the fits.
        threads: how many months are fitted side by side.
        progress: called at each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    judged = [_judged(months, labelled, place) for place in range(len(labelled) - 1, len(labelled) - 4, -1)]
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner(n_startup_trials=5)
    )
    study.enqueue_trial(asdict(Trees()))
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        study.optimize(
            lambda trial: _pooled_loss(trial, judged, seed, pool),
            n_trials=trials,
            callbacks=[lambda _, trial: progress("tuning XGBoost", trial.number + 1, trials)],
        )
    return TuningResult(_suggest(study.best_trial), tuple(_to_trial(each) for each in study.get_trials(deepcopy=False)))


def _judged(months: Mapping[str, pd.DataFrame], labelled: Sequence[str], place: int) -> _Judged:
    rows, now = EncodedRows.of(pd.concat([months[period] for period in labelled[:place]])), months[labelled[place]]
    return _Judged(rows, rows.encoder.encode_columns(now), now["y"].to_numpy(np.int8))


def _pooled_loss(trial: optuna.Trial, judged: Sequence[_Judged], seed: int, pool: ThreadPoolExecutor) -> float:
    """Newest months first: they say most, and a loss that falls on the way is what the pruner compares rightly."""
    trees = _suggest(trial)
    losses: list[float] = []
    total, rows = 0.0, 0
    for start in range(0, len(judged), _BETWEEN_LOOKS):
        together = judged[start : start + _BETWEEN_LOOKS]
        for row_losses in pool.map(lambda month: _losses(trees, month, seed), together):
            total, rows = total + float(row_losses.sum()), rows + len(row_losses)
            losses.append(total / rows)
            trial.report(losses[-1], step=len(losses))
        if len(losses) < len(judged) and trial.should_prune():
            raise optuna.TrialPruned
    return losses[-1]


def _losses(trees: Trees, month: _Judged, seed: int) -> np.ndarray:
    log_odds = fit(_RECIPE, month.rows, trees, seed).log_odds(month.rows.encoder, month.matrix)
    return metrics.log_losses(month.labels, 1 / (1 + np.exp(-log_odds)))


def _suggest(trial: optuna.Trial | optuna.trial.FrozenTrial) -> Trees:
    return Trees(
        trees=trial.suggest_int("trees", 80, 250, step=10),
        depth=trial.suggest_int("depth", 2, 4),
        eta=trial.suggest_float("eta", 0.03, 0.1, log=True),
        min_child_weight=trial.suggest_float("min_child_weight", 5, 50, log=True),
        l2=trial.suggest_float("l2", 1, 20, log=True),
    )


def _to_trial(trial: optuna.trial.FrozenTrial) -> Trial:
    losses = tuple(trial.intermediate_values[step] for step in sorted(trial.intermediate_values))
    return Trial(_suggest(trial), losses, trial.state == optuna.trial.TrialState.PRUNED)
