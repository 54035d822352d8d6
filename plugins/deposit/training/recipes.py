"""Recipes: how a candidate is fitted, as plain values, and the fitting itself. Pure, and the same bits every time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from deposit.data.columns import NAMES
from deposit.model.artifact import Labels
from deposit.model.encoder import Matrix

Scorer = xgboost.Booster | NDArray[np.float64]
Weights = NDArray[np.float64]
MACRO_FEATURES = ("month", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed")
"""Columns that tell the time rather than the customer."""
FEATURE_SETS = {"all": NAMES, "customer": tuple(name for name in NAMES if name not in MACRO_FEATURES)}
FeatureSet = Literal["all", "customer"]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a fit learns from: encoded rows (n, k), labels and weights (n,)."""

    matrix: Matrix
    labels: Labels
    weights: Weights

    @cached_property
    def quantiles(self) -> xgboost.QuantileDMatrix:
        """XGBoost's form of them, made once for many fits."""
        return xgboost.QuantileDMatrix(self.matrix, label=self.labels, weight=self.weights, nthread=1)


@dataclass(frozen=True)
class LogisticRecipe:
    """L2-regularised logistic regression.

    Args:
        strength: inverse of the regularisation, `C` of scikit-learn.
        features: a name in `FEATURE_SETS`.
        half_life: months after which a row counts half; None: all rows count alike.
    """

    strength: float
    features: FeatureSet
    half_life: float | None

    kind: ClassVar[Literal["logistic"]] = "logistic"

    def fit(self, training_set: TrainingSet, seed: int) -> Scorer:  # noqa: ARG002 - nothing random in it
        """Coefficients, the intercept last, shape (k + 1,)."""
        model = LogisticRegression(C=self.strength, solver="newton-cholesky", max_iter=100)
        matrix = training_set.matrix.astype(np.float64)
        model.fit(matrix, training_set.labels, sample_weight=training_set.weights)
        coefficients: NDArray[np.float64] = np.append(model.coef_[0], model.intercept_[0])
        return coefficients


@dataclass(frozen=True)
class XgboostRecipe:
    """Gradient-boosted trees; the defaults are the recipe fixed in advance.

    One thread a fit: with more, a busy machine lets them wait for each other many times as long as they work.
    """

    trees: int = 150
    depth: int = 3
    eta: float = 0.06
    min_child_weight: float = 10.0
    l2: float = 5.0
    features: FeatureSet = "all"
    half_life: float | None = None

    kind: ClassVar[Literal["xgboost"]] = "xgboost"

    def fit(self, training_set: TrainingSet, seed: int) -> Scorer:
        """The booster."""
        parameters = {
            "objective": "binary:logistic", "tree_method": "hist", "max_depth": self.depth, "eta": self.eta,
            "min_child_weight": self.min_child_weight, "lambda": self.l2, "seed": seed, "nthread": 1,
        }  # fmt: skip
        return xgboost.train(parameters, training_set.quantiles, num_boost_round=self.trees)


Recipe = LogisticRecipe | XgboostRecipe

LOGISTIC_RECIPES: tuple[LogisticRecipe, ...] = (
    LogisticRecipe(0.001, "all", None),
    LogisticRecipe(1.0, "all", None),
    LogisticRecipe(1.0, "customer", None),
    LogisticRecipe(1.0, "customer", 2),
)
"""Few and plain, fixed in advance: validation hardly foretells the test here, so that more would be noise."""


def recency_weights(periods: Sequence[str] | NDArray[np.str_], half_life: float | None) -> Weights:
    """1 for rows of the newest period, half of it for each `half_life` calendar months before; shape (n,).

    >>> recency_weights(["2008-12", "2009-01", "2009-03"], half_life=1).tolist()
    [0.125, 0.25, 1.0]
    """
    if half_life is None:
        return np.ones(len(periods))
    distinct, codes = np.unique(np.asarray(periods, dtype=str), return_inverse=True)
    months = np.array([int(period[:4]) * 12 + int(period[5:]) for period in distinct])
    weights: Weights = 0.5 ** ((months.max() - months[codes]) / half_life)
    return weights


def parameters(recipe: Recipe) -> dict[str, str | int | float | None]:
    """A recipe's values by name, for logging."""
    return {**asdict(recipe), "kind": recipe.kind}
