"""Why a customer stands where he stands: what each column adds to the log-odds, the largest first, in words."""

from typing import Any

import msgspec
import numpy as np
import xgboost
from numpy.typing import NDArray

from deposit.data.columns import FEATURES
from deposit.model.artifact import ModelArtifact
from deposit.model.encoder import Matrix

TOP = 3
_MEANINGS = {column.name: column.meaning.partition(";")[0] for column in FEATURES}
_VALUES = {
    ("pdays", 999): "never called in an earlier campaign",
    ("previous", 0): "not called before this campaign",
    ("poutcome", "nonexistent"): "no earlier campaign",
    ("poutcome", "success"): "subscribed in an earlier campaign",
    ("poutcome", "failure"): "did not subscribe in an earlier campaign",
}
"""Values that say more in words of their own."""


class Reason(msgspec.Struct):
    """What one column does to a customer's score; `effect` in log-odds, above 0 speaks for a call."""

    column: str
    effect: float
    text: str


def reasons(artifact: ModelArtifact, matrix: Matrix, columns: dict[str, NDArray[Any]]) -> list[list[Reason]]:
    """The largest effects of each row, by SHAP for trees (Lundberg, Lee 2017) and by coefficients otherwise."""
    used = artifact.encoder.columns
    effects = by_column(artifact, matrix)
    best = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :TOP]
    return [
        [_reason(used[place], columns[used[place]][row], float(effects[row, place])) for place in places]
        for row, places in enumerate(best.tolist())
    ]


def by_column(artifact: ModelArtifact, matrix: Matrix) -> NDArray[np.float64]:
    """Effects in log-odds by the encoder's columns, shape (rows, columns); with the base they add up to the score."""
    if isinstance(artifact.scorer, xgboost.Booster):
        # the last column is the base
        effects = artifact.scorer.predict(xgboost.DMatrix(matrix, nthread=1), pred_contribs=True)[:, :-1]
    else:
        effects = matrix * artifact.scorer[:-1]
    columns = list(artifact.encoder.columns)
    owners = np.array([columns.index(name.partition("=")[0]) for name in artifact.encoder.names()])
    summed = np.zeros((len(matrix), len(columns)))
    for place in range(len(columns)):
        summed[:, place] = effects[:, owners == place].sum(axis=1)
    return summed


def _reason(column: str, value: Any, effect: float) -> Reason:
    shown = value if isinstance(value, str) else int(value) if value == int(value) else float(value)
    words = _VALUES.get((column, shown)) or f"{_MEANINGS[column]}: {shown}"
    return Reason(column, effect, f"{words} ({effect:+.2f})")
