"""Rolling origin: each month is scored by members that saw only the labelled months before it.

One function serves training, gate, replay and report. Libraries split rows or regular time steps; these are whole
calendar months, some of them missing, with labels that may come late (decision 22).
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.data.columns import LEAKAGE_COLUMN
from deposit.data.periods import ordinal
from deposit.errors import DataError
from deposit.model.artifact import Labels
from deposit.model.mixture import Values
from deposit.progress import Progress, log_progress
from deposit.training.fitting import EncodedRows, Member, fit
from deposit.training.forward_cache import ForwardCache, content_key, member_key, month_digests
from deposit.training.recipes import RECIPES, Recipe, Trees
from deposit.training.search import TuningResult, tune

HISTORY_MONTHS = 6
"""Labelled months from which on a month is scored, if there are so many; with fewer all but one."""


@dataclass(frozen=True)
class Fold:
    """A month (YYYY-MM) and the labelled months that its members are fitted on."""

    period: str
    labelled: tuple[str, ...]


def folds(periods: Sequence[str], delay: int) -> tuple[Fold, ...]:
    """The folds of some months, oldest first.

    Args:
        periods: months that have rows, in any order.
        delay: calendar months until a month's labels are known after its end.

    >>> [fold.period for fold in folds(["2008-05", "2008-06", "2008-07"], delay=1)]
    ['2008-07']
    """
    months = sorted(set(periods))
    known = [tuple(each for each in months if ordinal(each) + delay < ordinal(month)) for month in months]
    least = min(HISTORY_MONTHS, len(known[-1])) if known else 0
    if not least:
        raise DataError(f"{len(months)} months are too few to score one by the labelled months before it: ingest more")
    return tuple(Fold(month, labelled) for month, labelled in zip(months, known, strict=True) if len(labelled) >= least)


@dataclass(frozen=True, eq=False)
class ForwardPredictions:
    """What each recipe predicted of each fold's month, n rows in all, oldest first.

    Args:
        recipes: names, in the order of `log_odds`.
        folds: the months, and what was known then.
        periods: of the rows, shape (n,).
        labels: shape (n,).
        log_odds: shape (recipes, n).
    """

    recipes: tuple[str, ...]
    folds: tuple[Fold, ...]
    periods: NDArray[np.str_]
    labels: Labels
    log_odds: Values

    def rows(self, period: str) -> NDArray[np.bool_]:
        """Which rows are of a month."""
        rows: NDArray[np.bool_] = self.periods == period
        return rows

    def until(self, periods: Sequence[str]) -> "ForwardPredictions":
        """Of the folds whose months are among these alone."""
        kept = np.isin(self.periods, list(periods))
        inside = tuple(fold for fold in self.folds if fold.period in set(periods))
        return ForwardPredictions(self.recipes, inside, self.periods[kept], self.labels[kept], self.log_odds[:, kept])


@dataclass(frozen=True)
class Fitting:
    """What is fitted, and how: `delay` in months, `trials` of a search for trees, `threads` that change no number."""

    delay: int = 0
    trials: int = 20
    seed: int = 7
    threads: int = 2
    recipes: tuple[Recipe, ...] = RECIPES


class Trainer:
    """Fits the members of a history; pure but for the cache and the progress that it tells.

    Args:
        frame: rows with `period`, the features and `y`.
        fitting: the recipes, and how.
        cache: of what was scored and tuned before.
        progress: called at each month.

    Raises DataError if the frame holds `duration`.
    """

    def __init__(
        self, frame: pd.DataFrame, fitting: Fitting, cache: ForwardCache, progress: Progress = log_progress
    ) -> None:
        refuse_leakage(frame)
        self.months = {str(period): rows for period, rows in frame.groupby("period", observed=True)}
        self.digests = month_digests(self.months)
        self.recipes = fitting.recipes
        self._fitting, self._cache, self._progress = fitting, cache, progress

    def score(self) -> ForwardPredictions:
        """Score every month that has labelled months before it.

        Raises DataError for too few months, or one outcome only in the first labelled months.
        """
        chosen = folds(list(self.months), self._fitting.delay)
        self._refuse_one_sided(chosen[0])
        scored: list[Values] = []
        # threads below them would only wait for each other
        with threadpool_limits(limits=1), ThreadPoolExecutor(self._fitting.threads) as pool:
            if any(recipe.tuned for recipe in self._fitting.recipes):
                list(pool.map(self.tuning, {_searched(fold.labelled) for fold in chosen}))
            # the longest first, so that no thread is left alone with one
            for number, values in enumerate(pool.map(self._score, reversed(chosen)), 1):
                self._progress("scoring each month by the months before it", number, len(chosen))
                scored.insert(0, values)
        rows = pd.concat([self.months[fold.period] for fold in chosen])
        return ForwardPredictions(
            tuple(recipe.name for recipe in self._fitting.recipes),
            chosen,
            rows["period"].to_numpy(dtype=str),
            rows["y"].to_numpy(np.int8),
            np.concatenate(scored, axis=1),
        )

    def fit(self, labelled: Sequence[str], recipes: Sequence[Recipe]) -> tuple[EncodedRows, list[Member]]:
        """Recipes fitted on some months' rows, side by side, and the rows with their encoder."""
        with threadpool_limits(limits=1), ThreadPoolExecutor(self._fitting.threads) as pool:
            return self._fit(labelled, recipes, pool.map)

    def _fit(
        self, labelled: Sequence[str], recipes: Sequence[Recipe], each: Callable[..., Iterable[Member]]
    ) -> tuple[EncodedRows, list[Member]]:
        rows = EncodedRows.of(pd.concat([self.months[period] for period in labelled]))
        # the slow ones first, so that no thread is left alone with one
        order = sorted(recipes, key=lambda recipe: recipe.family != "xgboost")
        trees, seed = [self._trees(recipe, labelled) for recipe in order], self._fitting.seed
        members = list(each(lambda recipe, its: fit(recipe, rows, its, seed), order, trees))
        by_recipe = dict(zip(order, members, strict=True))
        return rows, [by_recipe[recipe] for recipe in recipes]

    def tuning(self, labelled: Sequence[str]) -> TuningResult | None:
        """The search for trees that holds for these labelled months: made once a year of them, on those before alone.

        None before the first.
        """
        if len(labelled) < HISTORY_MONTHS:
            return None
        known, fitting = _searched(labelled), self._fitting
        key = content_key(self.digests, known, fitting.trials, fitting.seed)
        result = self._cache.read_tuning(key)
        if result is None:
            with threadpool_limits(limits=1):
                result = tune(self.months, known, fitting.trials, fitting.seed, fitting.threads, self._progress)
            self._cache.write_tuning(key, result)
        return result

    def _trees(self, recipe: Recipe, labelled: Sequence[str]) -> Trees:
        tuning = self.tuning(labelled) if recipe.tuned else None
        return tuning.best if tuning else Trees()

    def _score(self, fold: Fold) -> Values:
        """Log-odds of a fold's rows, shape (recipes, n); what the cache has is not fitted again."""
        now, recipes = self.months[fold.period], self._fitting.recipes
        key = content_key(self.digests, fold.labelled, self.digests[fold.period])
        names = {each: member_key(each, self._trees(each, fold.labelled), self._fitting.seed) for each in recipes}
        known = self._cache.read(key, len(now))
        missing = [recipe for recipe in recipes if names[recipe] not in known]
        if missing:
            # one after the other: other folds are scored side by side with this one
            rows, members = self._fit(fold.labelled, missing, map)
            matrix = rows.encoder.encode_columns(now)
            known |= {names[each.recipe]: each.log_odds(rows.encoder, matrix) for each in members}
            self._cache.write(key, known)
        return np.array([known[names[recipe]] for recipe in recipes])

    def _refuse_one_sided(self, first: Fold) -> None:
        labels = pd.concat([self.months[period]["y"] for period in first.labelled])
        if labels.nunique() < 2:
            raise DataError(
                f"all rows of the first labelled months {first.labelled[0]} to {first.labelled[-1]} have the same "
                "outcome: nothing can be learned; ingest a longer history"
            )


def _searched(labelled: Sequence[str]) -> tuple[str, ...]:
    """The labelled months whose search for trees holds: those of whole years after the first months."""
    return tuple(labelled[: HISTORY_MONTHS + max(0, len(labelled) - HISTORY_MONTHS) // 12 * 12])


def refuse_leakage(frame: pd.DataFrame) -> None:
    """Raise DataError if the frame holds `duration`."""
    if LEAKAGE_COLUMN in frame:
        raise DataError(
            f"{LEAKAGE_COLUMN} is known only after the call: a model must not use it; ingest the data without it"
        )
