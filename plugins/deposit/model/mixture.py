"""A mixture as it is served: the weighted sum of its members' log-odds, merged by family. Imports no pandas.

Weighted logistic regressions with the same encoder are one logistic regression, weighted forests are one forest, and
weighted rate tables are one rate table, so serving a mixture costs as much as serving one model of each family.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deposit.model.encoder import Encoder, Matrix

if TYPE_CHECKING:
    import xgboost

Values = NDArray[np.float64]
FACTORS = ("poutcome", "contact", "age")
"""Columns of the rate table, in the order of its axes."""
AGE_EDGES = (29.5, 59.5)
"""Edges between the age bands; no age equals one."""


@dataclass(frozen=True, eq=False)
class RateTable:
    """Log-odds by previous outcome, contact type and age band, shape (3, 2, 3).

    Args:
        log_odds: log-odds of each cell.
        effects: effect of each of `FACTORS` in each cell, shape (3, 2, 3, 3); with the base they add up to `log_odds`.
    """

    log_odds: Values
    effects: Values

    @property
    def probabilities(self) -> Values:
        """Probability of each cell."""
        odds: Values = np.exp(self.log_odds)
        return odds / (1 + odds)

    @classmethod
    def of(cls, log_odds: Values, counts: Values) -> "RateTable":
        """Build a table from its log-odds and row counts; effects are Shapley values (1953), weighted by the rows."""
        shares = counts / counts.sum()
        effects = np.zeros((*log_odds.shape, len(FACTORS)))
        for place in range(len(FACTORS)):
            others = [other for other in range(len(FACTORS)) if other != place]
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(FACTORS) - size - 1) / factorial(len(FACTORS))
                for known in combinations(others, size):
                    gain = _expected(log_odds, shares, {*known, place}) - _expected(log_odds, shares, set(known))
                    effects[..., place] += weight * gain
        return cls(log_odds, effects)

    def scaled(self, weight: float) -> "RateTable":
        """Return the table multiplied by a weight."""
        return RateTable(weight * self.log_odds, weight * self.effects)

    def __add__(self, other: "RateTable") -> "RateTable":
        return RateTable(self.log_odds + other.log_odds, self.effects + other.effects)


def _expected(log_odds: Values, shares: Values, known: set[int]) -> Values:
    """Mean log-odds given the known factors; the others are averaged one by one over their marginal distributions."""
    means = log_odds
    for axis in range(log_odds.ndim):
        if axis not in known:
            rest = tuple(other for other in range(log_odds.ndim) if other != axis)
            weights = shares.sum(axis=rest)
            means = np.broadcast_to(np.expand_dims(np.tensordot(means, weights, axes=(axis, 0)), axis), log_odds.shape)
    return means


@dataclass(frozen=True, eq=False)
class RateCells:
    """Positions of a rate table's factors in an encoder's matrix."""

    columns: tuple[slice, slice, int]
    edges: Values

    @classmethod
    def of(cls, encoder: Encoder) -> "RateCells":
        """Locate the factors in the matrix of an encoder that has all of `FACTORS`."""
        names = encoder.names()
        groups = [[place for place, name in enumerate(names) if name.partition("=")[0] == each] for each in FACTORS]
        (poutcome, contact, age) = (slice(group[0], group[-1] + 1) for group in groups)
        edges = (np.array(AGE_EDGES) - encoder.means["age"]) / encoder.scales["age"]
        return cls((poutcome, contact, age.start), edges)

    def find(self, matrix: Matrix) -> tuple[NDArray[np.intp], ...]:
        """Cell of each row, as an index array for each axis, shape (n,)."""
        poutcome, contact, age = self.columns
        bands = np.searchsorted(self.edges, matrix[:, age])
        return matrix[:, poutcome].argmax(axis=1), matrix[:, contact].argmax(axis=1), bands


@dataclass(frozen=True, eq=False)
class Mixture:
    """Members merged by family; a family without members is None.

    Args:
        weights: weights of the members, by name; they sum to 1.
        cells: positions of the rate table's factors in the matrix.
        linear: weighted coefficients, with the intercept last.
        forest: all trees, with weighted leaves.
        rates: weighted rate table.
    """

    weights: Mapping[str, float]
    cells: RateCells = field(repr=False)
    linear: Values | None = field(repr=False, default=None)
    forest: "xgboost.Booster | None" = field(repr=False, default=None)
    rates: RateTable | None = field(repr=False, default=None)

    def log_odds(self, matrix: Matrix) -> Values:
        """Log-odds of each row of an encoded matrix, shape (n,)."""
        total = np.zeros(len(matrix))
        if self.linear is not None:
            total += linear_log_odds(self.linear, matrix)
        if self.forest is not None:
            total += self.forest.inplace_predict(matrix, predict_type="margin")
        if self.rates is not None:
            total += self.rates.log_odds[self.cells.find(matrix)]
        return total

    def contributions(self, matrix: Matrix, owners: NDArray[np.intp], places: Mapping[str, int]) -> Values:
        """Contribution of each column to the log-odds, shape (n, columns); with the base they add up to the score.

        Args:
            matrix: encoded rows.
            owners: index of the dataset column behind each matrix column.
            places: index of each dataset column, by name.
        """
        by_feature = np.zeros(matrix.shape)
        if self.linear is not None:
            by_feature += matrix * self.linear[:-1]
        if self.forest is not None:
            import xgboost  # not at module level, as in `ModelArtifact.load`, which has loaded it with the forest

            by_feature += self.forest.predict(xgboost.DMatrix(matrix, nthread=1), pred_contribs=True)[:, :-1]
        summed = by_owner(by_feature, owners, len(places))
        if self.rates is not None:
            summed[:, [places[name] for name in FACTORS]] += self.rates.effects[self.cells.find(matrix)]
        return summed

    def to_json(self) -> dict[str, Any]:
        """The mixture as plain data, without the forest, which has a file of its own."""
        return {
            "weights": dict(self.weights),
            "linear": None if self.linear is None else self.linear.tolist(),
            "rates": None if self.rates is None else {name: each.tolist() for name, each in vars(self.rates).items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], encoder: Encoder, forest: "xgboost.Booster | None") -> "Mixture":
        """Restore a mixture from the result of `to_json`."""
        linear, rates = content["linear"], content["rates"]
        return cls(
            content["weights"],
            RateCells.of(encoder),
            None if linear is None else np.asarray(linear, dtype=np.float64),
            forest,
            None if rates is None else RateTable(np.asarray(rates["log_odds"]), np.asarray(rates["effects"])),
        )


def linear_log_odds(coefficients: Values, matrix: Matrix) -> Values:
    """Log-odds of a logistic regression with the intercept last; the batch size does not change a row's bits."""
    scores: Values = np.einsum("ij,j->i", matrix.astype(np.float64), coefficients[:-1]) + coefficients[-1]
    return scores


def by_owner(contributions: Values, owners: NDArray[np.intp], count: int) -> Values:
    """Sum the contributions of matrix columns by dataset column, shape (n, count)."""
    summed = np.zeros((len(contributions), count))
    for place in range(count):
        summed[:, place] = contributions[:, owners == place].sum(axis=1)
    return summed
