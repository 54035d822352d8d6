"""Rolling origin: each month is scored by members that were fitted only on the labelled months before it.

Training, gate, replay and report share this code. Libraries split rows or regular time steps; the folds here are whole
calendar months, some of them missing, with labels that may arrive late (decision 22).
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
"""Labelled months that a fold needs; in a shorter history, as many as the newest month has."""

_HERE = ComputeSettings()


@dataclass(frozen=True)
class Fold:
    """A month (YYYY-MM) to score, and the labelled months that its members are fitted on."""

    period: str
    labelled: tuple[str, ...]


def folds(periods: Sequence[str], delay: int) -> tuple[Fold, ...]:
    """The folds of some months, oldest first. Raises DataError if there are too few months.

    Args:
        periods: months that have rows, in any order.
        delay: calendar months between the end of a month and the arrival of its labels.

    >>> [fold.period for fold in folds(["2008-05", "2008-06", "2008-07"], delay=1)]
    ['2008-07']
    """
    months = sorted(set(periods))
    known = [tuple(each for each in months if ordinal(each) + delay < ordinal(month)) for month in months]
    least = min(HISTORY_MONTHS, len(known[-1])) if known else 0
    if not least:
        raise DataError(f"{len(months)} months are too few to score one from labelled months before it: ingest more")
    return tuple(Fold(month, labelled) for month, labelled in zip(months, known, strict=True) if len(labelled) >= least)


@dataclass(frozen=True, eq=False)
class ForwardPredictions:
    """Predictions of each recipe for the months of all folds, n rows in total, oldest first.

    Args:
        recipes: names, in the order of `log_odds`.
        folds: scored months, with the months that were labelled at the time.
        periods: month of each row, shape (n,).
        labels: shape (n,).
        log_odds: shape (recipes, n).
    """

    recipes: tuple[str, ...]
    folds: tuple[Fold, ...]
    periods: NDArray[np.str_]
    labels: Labels
    log_odds: Values

    def rows(self, period: str) -> NDArray[np.bool_]:
        """Mask of a month's rows."""
        rows: NDArray[np.bool_] = self.periods == period
        return rows

    def until(self, periods: Sequence[str]) -> "ForwardPredictions":
        """The predictions of those folds whose months are in `periods`."""
        kept = np.isin(self.periods, list(periods))
        inside = tuple(fold for fold in self.folds if fold.period in set(periods))
        return ForwardPredictions(self.recipes, inside, self.periods[kept], self.labels[kept], self.log_odds[:, kept])


@dataclass(frozen=True)
class Fitting:
    """What to fit and how: `delay` in months, `trials` per tuning; `threads` and `compute` do not affect the result."""

    delay: int = 0
    trials: int = 20
    seed: int = 7
    threads: int = 2
    recipes: tuple[Recipe, ...] = RECIPES
    compute: ComputeSettings = _HERE


class _Scoring(NamedTuple):
    """The scoring of a fold: log-odds that are cached, and members that must be fitted, both by member key."""

    fold: Fold
    key: str
    names: dict[Recipe, str]
    known: dict[str, Values]
    missing: dict[str, tuple[Recipe, Trees]]


class Trainer:
    """Fits and scores recipes on a history; pure except for the cache and the progress callback.

    Args:
        frame: rows with `period`, the features and `y`.
        fitting: recipes and fitting parameters.
        cache: cache of scores and tuning results.
        progress: callback, called for each month.

    Raises DataError if the frame has the column `duration`.
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
        """Score every month that has enough labelled months before it.

        Raises DataError if there are too few months, or if the first labelled months have a single outcome.
        """
        chosen = folds(list(self.months), self._fitting.delay)
        self._refuse_one_sided(chosen[0])
        scored: list[Values] = []
        # nested threads would only wait for each other
        with threadpool_limits(limits=1), pool(self._fitting.compute, self._fitting.threads) as workers:
            months = workers.share(self.months)
            if any(recipe.tuned for recipe in self._fitting.recipes):
                self._search({_searched(fold.labelled) for fold in chosen}, months, workers)
            # longest tasks first, so that none of them is left to a single worker at the end
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
                self._progress("scoring each month from the months before it", number, len(chosen))
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
        """Fit recipes on the rows of some months, in parallel; returns the encoded rows and the members."""
        rows = EncodedRows.of(pd.concat([self.months[period] for period in labelled]))
        # slowest recipes first, so that none of them is left to a single worker at the end
        order = sorted(recipes, key=lambda recipe: recipe.family != "xgboost")
        trees = [self._trees(recipe, labelled) for recipe in order]
        with threadpool_limits(limits=1), pool(self._fitting.compute, self._fitting.threads) as workers:
            shared = workers.share(rows)
            calls = ((recipe, shared, params, self._fitting.seed) for recipe, params in zip(order, trees, strict=True))
            by_recipe = dict(zip(order, workers.map(fit_alone, calls), strict=True))
        return rows, [by_recipe[recipe] for recipe in recipes]

    def tuning(self, labelled: Sequence[str]) -> TuningResult | None:
        """The tuning result that applies to these labelled months: tuning is repeated with every 12 new ones.

        None if there are fewer than `HISTORY_MONTHS`.
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
        """Run the tunings for these sets of labelled months, unless they are cached."""
        fitting = self._fitting
        new = [
            each
            for each in sorted(searched)
            if len(each) >= HISTORY_MONTHS and self._cache.read_tuning(self._tuning_key(each)) is None
        ]
        # a remote worker cannot reach the callback
        progress = self._progress if fitting.compute.scheduler is None else log_progress
        calls = ((months, each, fitting.trials, fitting.seed, fitting.threads, progress) for each in new)
        for number, (each, result) in enumerate(zip(new, workers.map(tune, calls), strict=True), 1):
            self._cache.write_tuning(self._tuning_key(each), result)
            self._progress("tuning trees", number, len(new))

    def _tuning_key(self, searched: Sequence[str]) -> str:
        return content_key(self.digests, searched, self._fitting.trials, self._fitting.seed)

    def _trees(self, recipe: Recipe, labelled: Sequence[str]) -> Trees:
        tuning = self.tuning(labelled) if recipe.tuned else None
        return tuning.best if tuning else Trees()

    def _scoring(self, fold: Fold) -> _Scoring:
        """The scoring of a fold; members whose predictions are cached are not fitted again."""
        key = content_key(self.digests, fold.labelled, self.digests[fold.period])
        trees = {each: self._trees(each, fold.labelled) for each in self._fitting.recipes}
        names = {each: member_key(each, params, self._fitting.seed) for each, params in trees.items()}
        known = self._cache.read(key, len(self.months[fold.period]))
        missing = {names[each]: (each, params) for each, params in trees.items() if names[each] not in known}
        return _Scoring(fold, key, names, known, missing)

    def _refuse_one_sided(self, first: Fold) -> None:
        labels = pd.concat([self.months[period]["y"] for period in first.labelled])
        if labels.nunique() < 2:
            raise DataError(
                f"all rows of the first labelled months {first.labelled[0]} to {first.labelled[-1]} have the same "
                "outcome: nothing can be learned; ingest a longer history"
            )


def _searched(labelled: Sequence[str]) -> tuple[str, ...]:
    """The labelled months that tuning uses: the first `HISTORY_MONTHS`, and whole years after them."""
    return tuple(labelled[: HISTORY_MONTHS + max(0, len(labelled) - HISTORY_MONTHS) // 12 * 12])


def refuse_leakage(frame: pd.DataFrame) -> None:
    """Raise DataError if the frame has the column `duration`."""
    if LEAKAGE_COLUMN in frame:
        raise DataError(
            f"{LEAKAGE_COLUMN} is known only after the call: a model must not use it; ingest the data without it"
        )
