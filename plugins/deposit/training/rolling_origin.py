"""Rolling origin: each month is scored by members that saw only the labelled months before it.

One function serves training, gate, replay and report. Libraries split rows or regular time steps; these are whole
calendar months, some of them missing, with labels that may come late (decision 22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.compute import Pool, pool
from deposit.data.columns import LEAKAGE_COLUMN
from deposit.data.periods import ordinal
from deposit.errors import DataError
from deposit.model.artifact import Labels
from deposit.model.mixture import Values
from deposit.progress import Progress, log_progress
from deposit.sections import ComputeSettings
from deposit.training.fitting import EncodedRows, Member, fit_alone, score_month
from deposit.training.forward_cache import ForwardCache, content_key, member_key, month_digests
from deposit.training.recipes import RECIPES, Recipe, Trees
from deposit.training.search import TuningResult, tune

HISTORY_MONTHS = 6
"""Labelled months from which on a month is scored, if there are so many; with fewer all but one."""

_HERE = ComputeSettings()


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
    """What is fitted, and how: `delay` in months, `trials` of a search for trees; where changes no number."""

    delay: int = 0
    trials: int = 20
    seed: int = 7
    threads: int = 2
    recipes: tuple[Recipe, ...] = RECIPES
    compute: ComputeSettings = _HERE


class _Scoring(NamedTuple):
    """What is to be done for a fold: the members' log-odds that the cache has, by key, and those to be fitted."""

    fold: Fold
    key: str
    names: dict[Recipe, str]
    known: dict[str, Values]
    missing: dict[str, tuple[Recipe, Trees]]


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
        with threadpool_limits(limits=1), pool(self._fitting.compute, self._fitting.threads) as workers:
            months = workers.share(self.months)
            if any(recipe.tuned for recipe in self._fitting.recipes):
                self._search({_searched(fold.labelled) for fold in chosen}, months, workers)
            # the longest first, so that no thread is left alone with one
            todo = [self._scoring(fold) for fold in reversed(chosen)]
            fitted = workers.map(
                score_month,
                (
                    (months, each.fold.labelled, each.fold.period, each.missing, self._fitting.seed)
                    for each in todo
                    if each.missing
                ),
            )
            for number, each in enumerate(todo, 1):
                values = each.known
                if each.missing:
                    values = values | next(fitted)
                    self._cache.write(each.key, values)
                self._progress("scoring each month by the months before it", number, len(chosen))
                scored.insert(0, np.array([values[each.names[recipe]] for recipe in self._fitting.recipes]))
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
        rows = EncodedRows.of(pd.concat([self.months[period] for period in labelled]))
        # the slow ones first, so that no thread is left alone with one
        order = sorted(recipes, key=lambda recipe: recipe.family != "xgboost")
        trees = [self._trees(recipe, labelled) for recipe in order]
        with threadpool_limits(limits=1), pool(self._fitting.compute, self._fitting.threads) as workers:
            shared = workers.share(rows)
            calls = ((recipe, shared, its, self._fitting.seed) for recipe, its in zip(order, trees, strict=True))
            by_recipe = dict(zip(order, workers.map(fit_alone, calls), strict=True))
        return rows, [by_recipe[recipe] for recipe in recipes]

    def tuning(self, labelled: Sequence[str]) -> TuningResult | None:
        """The search for trees that holds for these labelled months: made once a year of them, on those before alone.

        None before the first.
        """
        if len(labelled) < HISTORY_MONTHS:
            return None
        known = _searched(labelled)
        result = self._cache.read_tuning(self._tuning_key(known))
        if result is None:
            with pool(self._fitting.compute, self._fitting.threads) as workers:
                self._search({known}, workers.share(self.months), workers)
            result = self._cache.read_tuning(self._tuning_key(known))
        return result

    def _search(self, searched: set[tuple[str, ...]], months: Mapping[str, pd.DataFrame], workers: Pool) -> None:
        """Have the cache know the searches for trees of some labelled months."""
        fitting = self._fitting
        new = [
            each
            for each in sorted(searched)
            if len(each) >= HISTORY_MONTHS and self._cache.read_tuning(self._tuning_key(each)) is None
        ]
        # what a worker elsewhere would say nobody sees
        progress = self._progress if fitting.compute.scheduler is None else log_progress
        calls = ((months, each, fitting.trials, fitting.seed, fitting.threads, progress) for each in new)
        for number, (each, result) in enumerate(zip(new, workers.map(tune, calls), strict=True), 1):
            self._cache.write_tuning(self._tuning_key(each), result)
            self._progress("searching for trees", number, len(new))

    def _tuning_key(self, searched: Sequence[str]) -> str:
        return content_key(self.digests, searched, self._fitting.trials, self._fitting.seed)

    def _trees(self, recipe: Recipe, labelled: Sequence[str]) -> Trees:
        tuning = self.tuning(labelled) if recipe.tuned else None
        return tuning.best if tuning else Trees()

    def _scoring(self, fold: Fold) -> _Scoring:
        """What is to be done for a fold: what the cache has is not fitted again."""
        key = content_key(self.digests, fold.labelled, self.digests[fold.period])
        trees = {each: self._trees(each, fold.labelled) for each in self._fitting.recipes}
        names = {each: member_key(each, its, self._fitting.seed) for each, its in trees.items()}
        known = self._cache.read(key, len(self.months[fold.period]))
        missing = {names[each]: (each, its) for each, its in trees.items() if names[each] not in known}
        return _Scoring(fold, key, names, known, missing)

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
