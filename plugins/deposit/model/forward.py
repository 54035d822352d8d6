"""Forward folds: each validation period is predicted by a model fitted on everything before it. Pure."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.errors import DataError
from deposit.model.artifact import ModelArtifact, Probabilities
from deposit.model.encoder import Encoder, Matrix
from deposit.model.recipes import FEATURE_SETS, Examples, FeatureSet, Labels, Recipe, recency_weights
from deposit.model.windows import Windows


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows in time order with what was predicted for them; all arrays of shape (n,)."""

    periods: NDArray[np.str_]
    labels: Labels
    probabilities: Probabilities


class Folds:
    """The forward folds of a frame; encodes each fold once for each kind of recipe.

    Args:
        frame: development rows (and no other) with `period`, the features and `y`.
        windows: which periods are validated.
        seed: of whatever is random in a fit.
        threads: how many folds are fitted side by side.
    """

    def __init__(self, frame: pd.DataFrame, windows: Windows, seed: int, threads: int) -> None:
        self._frame = frame
        self._seed, self.threads = seed, threads
        self._labels = frame["y"].to_numpy(np.int8)
        self._periods = frame["period"].to_numpy(dtype=str)
        self._masks = list(windows.folds(self._periods))
        _refuse_one_sided(self._labels[self._masks[0][0]], windows.training)
        self._encoder = cache(self._make_encoder)
        self._validation = cache(self._make_validation)
        self._examples = cache(self._make_examples)

    def __len__(self) -> int:
        return len(self._masks)

    def labels(self, number: int) -> Labels:
        """Labels of a fold's validation rows."""
        return self._labels[self._masks[number][1]]

    def predict(self, recipe: Recipe, numbers: Sequence[int]) -> list[Probabilities]:
        """Probabilities of the validation rows of some folds, fitted side by side, one thread each."""
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda number: self._predict(recipe, number), numbers))

    def pooled(self, recipe: Recipe) -> Predictions:
        """Predictions of all folds: pooled forward predictions."""
        rows = np.concatenate([np.flatnonzero(mask) for _, mask in self._masks])
        probabilities = np.concatenate(self.predict(recipe, range(len(self))))
        return Predictions(self._periods[rows], self._labels[rows], probabilities)

    def _predict(self, recipe: Recipe, number: int) -> Probabilities:
        encoder = self._encoder(number, recipe.features)
        scorer = recipe.fit(self._examples(number, recipe.features, recipe.half_life), self._seed)
        rows = self._validation(number, recipe.features)
        return ModelArtifact(recipe.kind, encoder, scorer, 0.0, 0.5, {}).probabilities(rows)

    def _make_encoder(self, number: int, features: FeatureSet) -> Encoder:
        return Encoder.fit(self._frame[self._masks[number][0]], FEATURE_SETS[features])

    def _make_validation(self, number: int, features: FeatureSet) -> Matrix:
        return self._encoder(number, features).encode_columns(self._frame[self._masks[number][1]])

    def _make_examples(self, number: int, features: FeatureSet, half_life: float | None) -> Examples:
        before = self._masks[number][0]
        matrix = self._encoder(number, features).encode_columns(self._frame[before])
        return Examples(matrix, self._labels[before], recency_weights(self._periods[before], half_life))


def _refuse_one_sided(labels: Labels, periods: tuple[str, ...]) -> None:
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"all rows of the training window {periods[0]} to {periods[-1]} have the same outcome: "
            "nothing can be learned; ingest a longer history"
        )
