"""A dynamic logistic regression, a candidate outside the table of recipes. Pure."""

import numpy as np

from deposit.model.mixture import Values
from deposit.training.fitting import EncodedRows
from deposit.training.weighting import sigmoid

FORGETTING = {"dynamic logistic, half-life 1": 0.5, "dynamic logistic, half-life 2": 0.5**0.5}
"""Factor by which the precision shrinks per month, for the same half-lives, in months, as in the recipes."""
_PRECISION, _STEPS, _SMALL = 1.0, 50, 1e-8


def fit_dynamic(rows: EncodedRows, forgetting: float) -> Values:
    """Fit the coefficients, intercept last, by filtering month by month (McCormick, Raftery, Madigan, Burd 2012).

    Each month's estimate is the prior of the next, with its precision multiplied by `forgetting` for each month in
    between. The mode of the posterior is found by Newton's method.
    """
    matrix = np.column_stack([rows.matrix.astype(np.float64), np.ones(len(rows.labels))])
    mean, precision = np.zeros(matrix.shape[1]), _PRECISION * np.eye(matrix.shape[1])
    before = rows.ages.max()
    for age in np.unique(rows.ages)[::-1]:
        month = rows.ages == age
        precision = precision * forgetting ** (before - age)
        mean, precision = _update(matrix[month], rows.labels[month].astype(np.float64), mean, precision)
        before = age
    return mean


def _update(matrix: Values, labels: Values, mean: Values, precision: Values) -> tuple[Values, Values]:
    """Return the mode of the posterior and its precision."""

    def loss(coefficients: Values) -> float:
        scores, moved = matrix @ coefficients, coefficients - mean
        return float(np.logaddexp(0, scores).sum() - labels @ scores + moved @ precision @ moved / 2)

    mode = mean
    for _ in range(_STEPS):
        probabilities = sigmoid(matrix @ mode)
        curved = precision + (matrix.T * (probabilities * (1 - probabilities))) @ matrix
        step = np.linalg.solve(curved, matrix.T @ (labels - probabilities) - precision @ (mode - mean))
        # far from the mode, a full step may increase the loss
        while np.abs(step).max() > _SMALL and loss(mode + step) > loss(mode):
            step = step / 2
        mode = mode + step
        if np.abs(step).max() <= _SMALL:
            break
    return mode, curved
