"""Recipes: how to fit each member of the mixture. Pure values.

The set follows a rule, not past results: logistic regressions with and without the macro columns, at three strengths of
regularisation and three half-lives; trees with fixed parameters on both sets of columns; tuned trees; and the rate
table, as the baseline that a model must beat. The mixture weights them forward in time.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from deposit.data.columns import NAMES

Family = Literal["logistic", "xgboost", "rates"]
ColumnSet = Literal["all", "no_macro"]
MACRO_FEATURES = ("month", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m", "nr.employed")
"""Columns that describe the time of the call rather than the customer."""
COLUMN_SETS: dict[ColumnSet, tuple[str, ...]] = {
    "all": NAMES,
    "no_macro": tuple(name for name in NAMES if name not in MACRO_FEATURES),
}


@dataclass(frozen=True)
class Trees:
    """Parameters of boosted trees; the defaults were fixed in advance."""

    trees: int = 150
    depth: int = 3
    eta: float = 0.06
    min_child_weight: float = 10.0
    l2: float = 5.0


@dataclass(frozen=True)
class Recipe:
    """How to fit one member.

    Args:
        name: name of the member, also in MLflow.
        family: model family.
        columns: key in `COLUMN_SETS`; a rate table has its own columns.
        inverse_l2: inverse regularisation strength of a logistic regression, `C` in scikit-learn.
        half_life: months after which the weight of a row is halved; None: equal weights.
        window: number of newest calendar months to fit on; None: all.
        tuned: whether the tree parameters are tuned; otherwise they are the defaults of `Trees`.
    """

    name: str
    family: Family
    columns: ColumnSet = "all"
    inverse_l2: float = 1.0
    half_life: float | None = None
    window: int | None = None
    tuned: bool = False


RECIPES: tuple[Recipe, ...] = (
    Recipe("logistic", "logistic"),
    Recipe("logistic-c01", "logistic", inverse_l2=0.01),
    Recipe("logistic-c001", "logistic", inverse_l2=0.001),
    Recipe("logistic-hl1", "logistic", half_life=1),
    Recipe("logistic-hl2", "logistic", half_life=2),
    Recipe("logistic-hl4", "logistic", half_life=4),
    Recipe("logistic-nm", "logistic", "no_macro"),
    Recipe("logistic-nm-c01", "logistic", "no_macro", inverse_l2=0.01),
    Recipe("logistic-nm-c001", "logistic", "no_macro", inverse_l2=0.001),
    Recipe("logistic-nm-hl1", "logistic", "no_macro", half_life=1),
    Recipe("logistic-nm-hl2", "logistic", "no_macro", half_life=2),
    Recipe("logistic-nm-hl4", "logistic", "no_macro", half_life=4),
    Recipe("xgboost", "xgboost"),
    Recipe("xgboost-nm", "xgboost", "no_macro"),
    Recipe("xgboost-tuned", "xgboost", tuned=True),
    Recipe("rates", "rates", window=6),
)

FALLBACK = next(recipe for recipe in RECIPES if recipe.family == "rates")
"""The recipe that replaces an expired champion: three columns and six months, which cannot go far wrong."""


def table_key(recipes: Iterable[Recipe], *rules: object) -> str:
    """Key of a recipe table; `rules` holds whatever else determines how members become a model."""
    content = [[asdict(recipe) for recipe in recipes], [str(rule) for rule in rules]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
