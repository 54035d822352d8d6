"""Tuning of the boosted trees, evaluated forward in time only. Pure and reproducible."""

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
"""The newest months that trials are evaluated on, each from the months before it."""
_PRUNING_INTERVAL = 2
"""Months between two pruning checks, in parallel or not: the number of threads does not affect the result."""
_RECIPE = Recipe("trial", "xgboost")


@dataclass(frozen=True)
class Trial:
    """Parameters of a trial, and the pooled log loss after each month; a pruned trial stops before the last month."""

    trees: Trees
    losses: tuple[float, ...]
    pruned: bool


@dataclass(frozen=True)
class TuningResult:
    """The parameters with the lowest pooled log loss, and all trials."""

    best: Trees
    trials: tuple[Trial, ...]


@dataclass(frozen=True, eq=False)
class _EvaluationMonth:
    """A month that trials are evaluated on: encoded training rows, and the month's matrix and labels."""

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
    """Search a small parameter space: seeded TPE, median pruning over months, the default parameters first.

    Args:
        months: rows by month.
        labelled: labelled months, oldest first; more than `TUNING_MONTHS`.
        trials: number of trials.
        seed: seed of the sampler and of the fits.
        threads: number of months that are fitted in parallel.
        progress: callback, called after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    evaluated = [
        _evaluation_month(months, labelled, place) for place in range(len(labelled) - 1, len(labelled) - 4, -1)
    ]
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner(n_startup_trials=5)
    )
    study.enqueue_trial(asdict(Trees()))
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        study.optimize(
            lambda trial: _pooled_loss(trial, evaluated, seed, pool),
            n_trials=trials,
            callbacks=[lambda _, trial: progress("tuning XGBoost", trial.number + 1, trials)],
        )
    return TuningResult(_suggest(study.best_trial), tuple(_to_trial(each) for each in study.get_trials(deepcopy=False)))


def _evaluation_month(months: Mapping[str, pd.DataFrame], labelled: Sequence[str], place: int) -> _EvaluationMonth:
    rows, now = EncodedRows.of(pd.concat([months[period] for period in labelled[:place]])), months[labelled[place]]
    return _EvaluationMonth(rows, rows.encoder.encode_columns(now), now["y"].to_numpy(np.int8))


def _pooled_loss(
    trial: optuna.Trial, evaluated: Sequence[_EvaluationMonth], seed: int, pool: ThreadPoolExecutor
) -> float:
    """The pooled log loss of a trial, newest months first.

    The newest months are the most informative. In this order the running loss tends to fall, which suits the pruner.
    """
    trees = _suggest(trial)
    losses: list[float] = []
    total, rows = 0.0, 0
    for start in range(0, len(evaluated), _PRUNING_INTERVAL):
        together = evaluated[start : start + _PRUNING_INTERVAL]
        for row_losses in pool.map(lambda month: _losses(trees, month, seed), together):
            total, rows = total + float(row_losses.sum()), rows + len(row_losses)
            losses.append(total / rows)
            trial.report(losses[-1], step=len(losses))
        if len(losses) < len(evaluated) and trial.should_prune():
            raise optuna.TrialPruned
    return losses[-1]


def _losses(trees: Trees, month: _EvaluationMonth, seed: int) -> np.ndarray:
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
