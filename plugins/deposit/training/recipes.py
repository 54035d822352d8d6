"""Recipes: how the members of the mixture are fitted, one entry each. Pure values.

The set is fixed by a rule, not by what did best: logistic regressions with and without the macro columns, at three
strengths of regularisation and three half-lives; trees with fixed parameters on both sets of columns; trees that are
tuned; and the rate table that a model must beat. Choosing among them forward in time is the mixture's work.
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
"""Columns that tell the time rather than the customer."""
COLUMN_SETS: dict[ColumnSet, tuple[str, ...]] = {
    "all": NAMES,
    "no_macro": tuple(name for name in NAMES if name not in MACRO_FEATURES),
}


@dataclass(frozen=True)
class Trees:
    """Parameters of boosted trees; the defaults are fixed in advance."""

    trees: int = 150
    depth: int = 3
    eta: float = 0.06
    min_child_weight: float = 10.0
    l2: float = 5.0


@dataclass(frozen=True)
class Recipe:
    """How one member is fitted.

    Args:
        name: of the member, in MLflow too.
        family: of the model.
        columns: a name in `COLUMN_SETS`; a rate table has columns of its own.
        inverse_l2: inverse strength of a logistic regression's regularisation, `C` of scikit-learn.
        half_life: months after which a row counts half; None: all rows count alike.
        window: newest labelled calendar months that are learned from; None: all.
        tuned: whether the trees' parameters are searched for; else they are those of `Trees`.
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
"""What answers alone where a champion has expired: three columns and six months, which cannot go far wrong."""


def table_key(recipes: Iterable[Recipe], *rules: object) -> str:
    """The same for two tables that mean the same; `rules` are what else decides how members become a model."""
    content = [[asdict(recipe) for recipe in recipes], [str(rule) for rule in rules]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
