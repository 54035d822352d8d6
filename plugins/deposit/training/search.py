"""The search for a candidate's recipe, judged on rolling-origin folds alone. Pure, and the same every time."""

from dataclasses import dataclass

import numpy as np
import optuna

from deposit.model import metrics
from deposit.progress import Progress
from deposit.training.recipes import LOGISTIC_RECIPES, FeatureSet, Recipe, XgboostRecipe
from deposit.training.windows import RollingOriginFolds

_FEATURES: dict[str, FeatureSet] = {"all": "all", "customer": "customer"}


@dataclass(frozen=True)
class Trial:
    """One recipe tried: the pooled log loss after each fold; a pruned trial stops before the last."""

    recipe: Recipe
    losses: tuple[float, ...]
    pruned: bool


@dataclass(frozen=True)
class TuningResult:
    """The recipe with the lowest log loss pooled over the folds, and all that were tried (none where fixed)."""

    best: Recipe
    trials: tuple[Trial, ...]


def best_logistic(folds: RollingOriginFolds, progress: Progress) -> TuningResult:
    """The best of a few plain logistic regressions."""
    losses = []
    for number, recipe in enumerate(LOGISTIC_RECIPES, start=1):
        pooled = folds.pooled(recipe)
        losses.append(metrics.log_loss(pooled.labels, pooled.probabilities))
        progress("fitting logistic regressions", number, len(LOGISTIC_RECIPES))
    return TuningResult(LOGISTIC_RECIPES[int(np.argmin(losses))], ())


def best_xgboost(folds: RollingOriginFolds, trials: int, seed: int, progress: Progress) -> TuningResult:
    """The best boosted trees of a small space: seeded TPE, median pruning over folds, a fixed recipe tried first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    first = XgboostRecipe()
    study.enqueue_trial({**vars(first), "half_life": 0})
    study.optimize(
        lambda trial: _pooled_loss(trial, folds),
        n_trials=trials,
        callbacks=[lambda _, trial: progress("tuning XGBoost", trial.number + 1, trials)],
    )
    return TuningResult(
        _suggest_recipe(study.best_trial), tuple(_to_trial(trial) for trial in study.get_trials(deepcopy=False))
    )


def _pooled_loss(trial: optuna.Trial, folds: RollingOriginFolds) -> float:
    """Newest folds first: they say most, and a loss that falls on the way is what the pruner compares rightly."""
    recipe = _suggest_recipe(trial)
    losses: list[float] = []
    total, rows = 0.0, 0
    newest_first = range(len(folds))[::-1]
    for start in range(0, len(folds), folds.threads):
        numbers = newest_first[start : start + folds.threads]
        for number, probabilities in zip(numbers, folds.predict(recipe, numbers), strict=True):
            row_losses = metrics.log_losses(folds.labels(number), probabilities)
            total, rows = total + float(row_losses.sum()), rows + len(row_losses)
            losses.append(total / rows)
            trial.report(losses[-1], step=len(losses))
        if len(losses) < len(folds) and trial.should_prune():
            raise optuna.TrialPruned
    return losses[-1]


def _suggest_recipe(trial: optuna.Trial | optuna.trial.FrozenTrial) -> XgboostRecipe:
    return XgboostRecipe(
        trees=trial.suggest_int("trees", 80, 250, step=10),
        depth=trial.suggest_int("depth", 2, 4),
        eta=trial.suggest_float("eta", 0.03, 0.1, log=True),
        min_child_weight=trial.suggest_float("min_child_weight", 5, 50, log=True),
        l2=trial.suggest_float("l2", 1, 20, log=True),
        features=_FEATURES[trial.suggest_categorical("features", list(_FEATURES))],
        half_life=trial.suggest_categorical("half_life", [0, 2, 6]) or None,
    )


def _to_trial(trial: optuna.trial.FrozenTrial) -> Trial:
    losses = tuple(trial.intermediate_values[step] for step in sorted(trial.intermediate_values))
    pruned = trial.state == optuna.trial.TrialState.PRUNED
    return Trial(_suggest_recipe(trial), losses, pruned)
