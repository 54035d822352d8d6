"""The encoder that training, batch scoring and serving share: customers in, float32 matrix out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deposit.data.coded import CodedTexts
from deposit.data.columns import CATEGORIES, FEATURES, LEAKAGE_COLUMN, NAMES, NUMBERS
from deposit.errors import DataError

Matrix = NDArray[np.float32]


class Columns(Protocol):
    """A frame, or anything else that returns an array for a column name."""

    def __getitem__(self, name: str, /) -> Any:
        """The values of one column."""


_CONSTANT = 1e-12
_BY_COLUMN = 16
"""Number of rows from which encoding by column is faster than value by value."""
_COLUMNS = {column.name: column for column in FEATURES}


@dataclass(frozen=True)
class Encoder:
    """Standardises numbers and one-hot encodes categories, in the order of `columns`.

    Args:
        columns: features that the model uses, a subset of `deposit.data.columns.NAMES`.
        means: means of the number columns in the training rows, by name.
        scales: standard deviations of the number columns in the training rows, by name; 1 if a column is constant.
    """

    columns: tuple[str, ...]
    means: Mapping[str, float]
    scales: Mapping[str, float]

    def __post_init__(self) -> None:
        refuse_unknown(self.columns)

    @classmethod
    def fit(cls, frame: Columns, columns: Sequence[str] = NAMES) -> "Encoder":
        """Fit means and scales to training rows (a frame or arrays by column)."""
        refuse_unknown(columns)
        numbers = [name for name in columns if name in NUMBERS]
        values = {name: np.asarray(frame[name], dtype=np.float64) for name in numbers}
        return cls(
            tuple(columns),
            {name: float(values[name].mean()) for name in numbers},
            {name: _scale(values[name]) for name in numbers},
        )

    def names(self) -> tuple[str, ...]:
        """Names of the matrix columns, such as `age` and `job=student`."""
        return tuple(feature for name in self.columns for feature in _COLUMNS[name].feature_names())

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        """Encode rows that hold all features in the order of `NAMES`; fast for a single row.

        Raises DataError with the row and column of an invalid value.
        """
        if len(rows) >= _BY_COLUMN and all(len(row) == len(NAMES) for row in rows):
            return self.encode_columns(dict(zip(NAMES, zip(*rows, strict=True), strict=True)))
        matrix = np.zeros((len(rows), self._width), dtype=np.float32)
        for number, (row, line) in enumerate(zip(rows, matrix, strict=True)):
            if len(row) != len(NAMES):
                raise DataError(f"row {number} has {len(row)} values, {len(NAMES)} are needed: {', '.join(NAMES)}")
            try:
                for place, offset, mean, scale in self._number_plan:
                    line[offset] = (row[place] - mean) / scale
                for place, positions in self._category_plan:
                    line[positions[row[place]]] = 1.0
            except (KeyError, TypeError) as error:
                raise self._row_error(number, row) from error
        self._refuse_infinite(matrix)
        return matrix

    def encode_columns(self, columns: Columns) -> Matrix:
        """Encode a frame or arrays by column, bit for bit like `encode_rows`.

        Raises DataError with the row and column of an invalid value.
        """
        count = len(columns[self.columns[0]])
        matrix = np.zeros((count, self._width), dtype=np.float32)
        flat, starts = matrix.reshape(-1), np.arange(0, matrix.size, self._width)
        for place, offset, mean, scale in self._number_plan:
            matrix[:, offset] = (_numbers(NAMES[place], columns[NAMES[place]]) - mean) / scale
        for place, positions in self._category_plan:
            values = columns[NAMES[place]]
            codes = _places(values, positions)
            if count and codes.min() < 0:
                row = int(codes.argmin())
                raise _not_allowed(row, NAMES[place], np.asarray(values, dtype=object)[row], positions)
            flat[starts + codes] = 1.0
        self._refuse_infinite(matrix)
        return matrix

    def to_json(self) -> dict[str, Any]:
        """The encoder as plain data; floats round-trip exactly."""
        return {"columns": list(self.columns), "means": dict(self.means), "scales": dict(self.scales)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Encoder":
        """Restore an encoder from the result of `to_json`."""
        return cls(tuple(data["columns"]), dict(data["means"]), dict(data["scales"]))

    @cached_property
    def _offsets(self) -> dict[str, int]:
        offsets, width = {}, 0
        for name in self.columns:
            offsets[name] = width
            width += len(_COLUMNS[name].feature_names())
        return offsets

    @cached_property
    def _width(self) -> int:
        return len(self.names())

    @cached_property
    def _number_plan(self) -> list[tuple[int, int, float, float]]:
        """For each number column: index in a row, index in the matrix, mean, scale."""
        return [
            (NAMES.index(name), self._offsets[name], self.means[name], self.scales[name])
            for name in self.columns
            if name in NUMBERS
        ]

    @cached_property
    def _category_plan(self) -> list[tuple[int, dict[str, int]]]:
        """For each category column: index in a row, and index in the matrix by value."""
        return [
            (
                NAMES.index(name),
                {value: place for place, value in enumerate(CATEGORIES[name].allowed, start=self._offsets[name])},
            )
            for name in self.columns
            if name in CATEGORIES
        ]

    def _row_error(self, number: int, row: Sequence[Any]) -> DataError:
        for place, _, _, _ in self._number_plan:
            if not isinstance(row[place], int | float):
                return DataError(f"row {number}: {NAMES[place]} is {row[place]!r}, which is not a number")
        for place, positions in self._category_plan:
            if not isinstance(row[place], str) or row[place] not in positions:
                return _not_allowed(number, NAMES[place], row[place], positions)
        return DataError(f"row {number} cannot be encoded: {row!r}")

    def _refuse_infinite(self, matrix: Matrix) -> None:
        finite = np.isfinite(matrix)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise DataError(f"row {row}: {self.names()[column]} is not a finite number")


def refuse_unknown(columns: Sequence[str]) -> None:
    """Raise DataError for columns that no model may use, with a reason of its own for `duration`."""
    if LEAKAGE_COLUMN in columns:
        raise DataError(f"{LEAKAGE_COLUMN} is known only after the call: a model must not use it")
    unknown = [name for name in columns if name not in _COLUMNS]
    if unknown:
        raise DataError(f"unknown columns {', '.join(unknown)}: a model may use {', '.join(NAMES)}")


def _scale(values: NDArray[np.float64]) -> float:
    """The standard deviation, or 1 for a column that is constant up to rounding."""
    deviation = float(values.std())
    return deviation if deviation > _CONSTANT * max(1.0, float(np.abs(values).max())) else 1.0


def _places(values: Any, positions: Mapping[str, int]) -> NDArray[np.int64]:
    """Index of each value in a row of the matrix, -1 if not allowed; each distinct coded text is looked up once."""
    if isinstance(values, CodedTexts):
        return np.fromiter(map(positions.get, values.texts, repeat(-1)), np.int64, len(values.texts))[values.codes]
    listed = values if isinstance(values, tuple) else np.asarray(values, dtype=object)
    return np.fromiter(map(positions.get, listed, repeat(-1)), np.int64, len(values))


def _numbers(name: str, values: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        row = next(row for row, value in enumerate(values) if not isinstance(value, int | float))
        raise DataError(f"row {row}: {name} is {values[row]!r}, which is not a number") from error


def _not_allowed(row: int, name: str, value: object, allowed: Mapping[str, int]) -> DataError:
    return DataError(f"row {row}: {name} is {value!r}, which is not one of {', '.join(allowed)}")
