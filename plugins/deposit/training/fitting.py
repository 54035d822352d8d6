"""Fit recipes to labelled rows, and combine the fitted members into a mixture. Pure.

Fits are bitwise reproducible. Each fit uses one thread: on a busy machine, several threads would wait for each other
many times longer than they work.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import log
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from deposit.data.periods import ordinal
from deposit.model.artifact import Labels
from deposit.model.encoder import Encoder, Matrix
from deposit.model.mixture import Mixture, RateCells, RateTable, Values, linear_log_odds
from deposit.training.recipes import COLUMN_SETS, ColumnSet, Family, Recipe, Trees

PRIOR_ROWS = 20.0
"""Pseudo-rows at the overall rate that are added to each cell of a rate table."""
Form = TypeVar("Form", xgboost.QuantileDMatrix, Values)


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Labelled rows, with the encoder that is fitted on them and shared by all members.

    Args:
        encoder: encoder of all columns.
        matrix: encoded rows, shape (n, k).
        labels: shape (n,).
        ages: calendar months from each row's month to the newest month, shape (n,).
    """

    encoder: Encoder
    matrix: Matrix
    labels: Labels
    ages: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "EncodedRows":
        """Encode rows that have the features, `period` and `y`."""
        encoder = Encoder.fit(frame)
        labels = frame["y"].to_numpy(np.int8)
        return cls(encoder, encoder.encode_columns(frame), labels, ages_of(frame["period"].to_numpy(dtype=str)))


def ages_of(periods: NDArray[np.str_]) -> NDArray[np.int64]:
    """Calendar months from each period to the newest period.

    >>> ages_of(np.array(["2008-12", "2009-01", "2009-03"])).tolist()
    [3, 2, 0]
    """
    distinct, codes = np.unique(periods, return_inverse=True)
    ages = np.array([ordinal(distinct[-1]) - ordinal(period) for period in distinct])
    return ages[codes]


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted recipe: coefficients with the intercept last, a booster, or a rate table."""

    recipe: Recipe
    scorer: Values | xgboost.Booster | RateTable

    def log_odds(self, encoder: Encoder, matrix: Matrix) -> Values:
        """Log-odds of encoded rows, shape (n,)."""
        if isinstance(self.scorer, xgboost.Booster):
            margins: Values = self.scorer.inplace_predict(matrix, predict_type="margin").astype(np.float64)
            return margins
        if isinstance(self.scorer, RateTable):
            rates: Values = self.scorer.log_odds[RateCells.of(encoder).find(matrix)]
            return rates
        return linear_log_odds(self.scorer, matrix)


def fit(recipe: Recipe, rows: EncodedRows, trees: Trees, seed: int) -> Member:
    """Fit one recipe; `trees` holds the parameters of boosted trees."""
    return Member(recipe, _FIT[recipe.family](recipe, rows, trees, seed))


def fit_alone(recipe: Recipe, rows: EncodedRows, trees: Trees, seed: int) -> Member:
    """Call `fit` with native thread pools limited to one thread, as a task of a worker."""
    with threadpool_limits(limits=1):
        return fit(recipe, rows, trees, seed)


def score_month(
    months: Mapping[str, pd.DataFrame],
    labelled: Sequence[str],
    period: str,
    members: Mapping[str, tuple[Recipe, Trees]],
    seed: int,
) -> dict[str, Values]:
    """Fit members on the labelled months and score a month's rows: log-odds by member key, shape (n,) each."""
    with threadpool_limits(limits=1):
        rows = EncodedRows.of(pd.concat([months[each] for each in labelled]))
        matrix = rows.encoder.encode_columns(months[period])
        # one after the other: the months themselves are scored in parallel
        return {
            key: fit(recipe, rows, trees, seed).log_odds(rows.encoder, matrix)
            for key, (recipe, trees) in members.items()
        }


_forms: WeakKeyDictionary[EncodedRows, dict[object, object]] = WeakKeyDictionary()


def _form(make: Callable[..., Form], rows: EncodedRows, *how: object) -> Form:
    """The rows in a library's input format, computed once for all fits and cached as long as the rows exist."""
    forms = _forms.setdefault(rows, {})
    if (make, how) not in forms:
        forms[make, how] = make(rows, *how)
    form: Form = forms[make, how]  # type: ignore[assignment]
    return form


def _fit_logistic(recipe: Recipe, rows: EncodedRows, _: Trees, __: int) -> Values:
    used, kept = _columns(rows.encoder, recipe.columns), _window(rows, recipe.window)
    model = LogisticRegression(C=recipe.inverse_l2, solver="newton-cholesky", max_iter=100)
    design = _form(_design, rows, recipe.columns, recipe.window)
    model.fit(design, rows.labels[kept], sample_weight=_weights(rows, recipe.half_life)[kept])
    coefficients = np.zeros(rows.matrix.shape[1] + 1)
    coefficients[:-1][used] = model.coef_[0]
    coefficients[-1] = model.intercept_[0]
    return coefficients


def _fit_xgboost(recipe: Recipe, rows: EncodedRows, trees: Trees, seed: int) -> xgboost.Booster:
    quantiles = _form(_quantiles, rows, recipe.columns, recipe.half_life, recipe.window)
    parameters = {
        "objective": "binary:logistic", "tree_method": "hist", "max_depth": trees.depth, "eta": trees.eta,
        "min_child_weight": trees.min_child_weight, "lambda": trees.l2, "seed": seed, "nthread": 1,
    }  # fmt: skip
    return xgboost.train(parameters, quantiles, num_boost_round=trees.trees)


def _design(rows: EncodedRows, columns: ColumnSet, window: int | None) -> Values:
    """The rows as C-contiguous float64, which scikit-learn uses without a copy at each fit."""
    return np.ascontiguousarray(rows.matrix[_window(rows, window)][:, _columns(rows.encoder, columns)], np.float64)


def _quantiles(
    rows: EncodedRows, columns: ColumnSet, half_life: float | None, window: int | None
) -> xgboost.QuantileDMatrix:
    """The rows as XGBoost's quantile matrix; a column subset reuses the bins of all columns at the same row weights."""
    kept = _window(rows, window)
    # no tree splits on a constant column, so columns outside the subset are set to 0
    matrix = np.where(_columns(rows.encoder, columns), rows.matrix[kept], np.float32(0))
    cuts = None if columns == "all" else _form(_quantiles, rows, "all", half_life, window)
    weights = _weights(rows, half_life)[kept]
    return xgboost.QuantileDMatrix(matrix, label=rows.labels[kept], weight=weights, ref=cuts, nthread=1)


def fit_rates(recipe: Recipe, rows: EncodedRows, *_: object) -> RateTable:
    """Fit a rate table on a recipe's window, each cell shrunk towards the overall rate by `PRIOR_ROWS` pseudo-rows."""
    kept = _window(rows, recipe.window)
    labels, weights = rows.labels[kept], _weights(rows, recipe.half_life)[kept]
    cells, shape = RateCells.of(rows.encoder).find(rows.matrix[kept]), (3, 2, 3)
    counts, hits = np.zeros(shape), np.zeros(shape)
    np.add.at(counts, cells, weights)
    np.add.at(hits, cells, weights * labels)
    rate = (hits.sum() + 1) / (counts.sum() + 2)
    rates = (hits + PRIOR_ROWS * rate) / (counts + PRIOR_ROWS)
    return RateTable.of(np.log(rates / (1 - rates)), counts)


_FIT: dict[Family, Callable[[Recipe, EncodedRows, Trees, int], Values | xgboost.Booster | RateTable]] = {
    "logistic": _fit_logistic,
    "xgboost": _fit_xgboost,
    "rates": fit_rates,
}


def _columns(encoder: Encoder, columns: ColumnSet) -> NDArray[np.bool_]:
    return np.array([name.partition("=")[0] in COLUMN_SETS[columns] for name in encoder.names()])


def _window(rows: EncodedRows, window: int | None) -> NDArray[np.bool_]:
    return np.full(len(rows.ages), True) if window is None else rows.ages < window


def _weights(rows: EncodedRows, half_life: float | None) -> Values:
    """Row weights: 1 in the newest month, halved for each half-life of age."""
    if half_life is None:
        return np.ones(len(rows.ages))
    weights: Values = 0.5 ** (rows.ages / half_life)
    return weights


def mix(members: Sequence[Member], weights: Mapping[str, float], encoder: Encoder) -> Mixture:
    """Combine weighted members that share an encoder into one mixture."""
    linear = [weights[each.recipe.name] * each.scorer for each in members if isinstance(each.scorer, np.ndarray)]
    tables = [each.scorer.scaled(weights[each.recipe.name]) for each in members if isinstance(each.scorer, RateTable)]
    boosters = {each.recipe.name: each.scorer for each in members if isinstance(each.scorer, xgboost.Booster)}
    return Mixture(
        dict(weights),
        RateCells.of(encoder),
        np.sum(linear, axis=0) if linear else None,
        _one_forest(boosters, weights) if boosters else None,
        reduce(RateTable.__add__, tables) if tables else None,
    )


def _one_forest(boosters: Mapping[str, xgboost.Booster], weights: Mapping[str, float]) -> xgboost.Booster:
    """Merge boosters into one: all trees with weighted leaves, and the weighted sum of base log-odds as base score."""
    models = {name: json.loads(bytes(booster.save_raw("json"))) for name, booster in boosters.items()}
    trees, base = [], 0.0
    for name, model in models.items():
        learner = model["learner"]
        score = float(learner["learner_model_param"]["base_score"].strip("[]"))
        base += weights[name] * log(score / (1 - score))
        trees += [_weighted(tree, weights[name]) for tree in learner["gradient_booster"]["model"]["trees"]]
    whole = next(iter(models.values()))
    forest = whole["learner"]["gradient_booster"]["model"]
    forest["trees"] = [{**tree, "id": number} for number, tree in enumerate(trees)]
    forest["tree_info"] = [0] * len(trees)
    forest["iteration_indptr"] = list(range(len(trees) + 1))
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    whole["learner"]["learner_model_param"]["base_score"] = f"[{1 / (1 + np.exp(-base)):.9E}]"
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(whole).encode()))
    booster.set_param({"nthread": 1})
    return booster


def _weighted(tree: dict[str, list[float]], weight: float) -> dict[str, list[float]]:
    """A tree of XGBoost's JSON format with weighted leaves; leaf values are stored in `split_conditions`."""
    leaves, conditions = np.array(tree["left_children"]) < 0, np.array(tree["split_conditions"])
    return {
        **tree,
        "split_conditions": np.where(leaves, weight * conditions, conditions).tolist(),
        "base_weights": (weight * np.array(tree["base_weights"])).tolist(),
    }
