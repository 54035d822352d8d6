"""Out-of-time windows by whole periods: training, validation, test, in this order. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deposit.errors import DataError

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
    def trained_through(self) -> str:
        """The newest period that a final model has seen."""
        return self.development[-1]

    def folds(self, periods: Sequence[str] | NDArray[np.str_]) -> Iterator[tuple[Rows, Rows]]:
        """Forward folds: for each validation period the rows before it and the rows in it, as masks over `periods`."""
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
    """Index of the first of the fewest last periods that hold `rows` together; 0 if all do not."""
    held = 0
    for index in range(len(counts) - 1, -1, -1):
        held += counts[index][1]
        if held >= rows:
            return index
    return 0
