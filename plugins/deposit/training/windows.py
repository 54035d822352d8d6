"""Windows of whole months, and the folds of rolling-origin evaluation inside them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.errors import DataError
from deposit.model.artifact import Labels, ModelArtifact, Probabilities
from deposit.model.encoder import Encoder, Matrix
from deposit.model.evaluation import Predictions
from deposit.training.recipes import FEATURE_SETS, FeatureSet, Recipe, TrainingSet, recency_weights

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Windows:
    """Periods (YYYY-MM) of each window; development is training and validation."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def development(self) -> tuple[str, ...]:
        """Every period that something may be learned from."""
        return self.training + self.validation

    @property
    def train_end(self) -> str:
        """The newest period that a final model has seen."""
        return self.development[-1]

    def folds(self, periods: Sequence[str] | NDArray[np.str_]) -> Iterator[tuple[Rows, Rows]]:
        """For each validation period the rows before it and the rows in it, as masks over `periods`."""
        values = np.asarray(periods, dtype=str)
        for period in self.validation:
            yield values < period, values == period


def split(periods: Sequence[str] | NDArray[np.str_], test_share: float, validation_share: float) -> Windows:
    """The fewest newest periods with `test_share` of the rows, the fewest before with `validation_share`, the rest.

    Raises DataError if no period is left for training.
    """
    counts = sorted(Counter(np.asarray(periods, dtype=str).tolist()).items())
    total = sum(count for _, count in counts)
    test = _newest(counts, test_share * total)
    validation = _newest(counts[:test], validation_share * total)
    if not validation:
        raise DataError(
            f"{total} rows in {len(counts)} periods are too few periods for training, validation and test: "
            "ingest a longer history, or lower DEPOSIT_TRAIN__TEST_SHARE and DEPOSIT_TRAIN__VALIDATION_SHARE"
        )
    names = tuple(period for period, _ in counts)
    return Windows(names[:validation], names[validation:test], names[test:])


def _newest(counts: Sequence[tuple[str, int]], rows: float) -> int:
    """Index of the first of the fewest last periods with `rows` rows together; 0 if all have fewer."""
    total = 0
    for index in range(len(counts) - 1, -1, -1):
        total += counts[index][1]
        if total >= rows:
            return index
    return 0


class RollingOriginFolds:
    """The rolling-origin folds of a frame; encodes each fold once for each kind of recipe.

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
        self._training_set = cache(self._make_training_set)

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
        """Predictions of all folds, pooled."""
        rows = np.concatenate([np.flatnonzero(mask) for _, mask in self._masks])
        probabilities = np.concatenate(self.predict(recipe, range(len(self))))
        return Predictions(self._periods[rows], self._labels[rows], probabilities)

    def _predict(self, recipe: Recipe, number: int) -> Probabilities:
        encoder = self._encoder(number, recipe.features)
        scorer = recipe.fit(self._training_set(number, recipe.features, recipe.half_life), self._seed)
        rows = self._validation(number, recipe.features)
        return ModelArtifact(recipe.kind, encoder, scorer, 0.0, 0.5).probabilities(rows)

    def _make_encoder(self, number: int, features: FeatureSet) -> Encoder:
        return Encoder.fit(self._frame[self._masks[number][0]], FEATURE_SETS[features])

    def _make_validation(self, number: int, features: FeatureSet) -> Matrix:
        return self._encoder(number, features).encode_columns(self._frame[self._masks[number][1]])

    def _make_training_set(self, number: int, features: FeatureSet, half_life: float | None) -> TrainingSet:
        before = self._masks[number][0]
        matrix = self._encoder(number, features).encode_columns(self._frame[before])
        return TrainingSet(matrix, self._labels[before], recency_weights(self._periods[before], half_life))


def _refuse_one_sided(labels: Labels, periods: tuple[str, ...]) -> None:
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"all rows of the training window {periods[0]} to {periods[-1]} have the same outcome: "
            "nothing can be learned; ingest a longer history"
        )
