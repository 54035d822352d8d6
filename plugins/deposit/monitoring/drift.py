"""Distances between binned distributions. Effect sizes, because at scale every p-value is significant. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_PSI = 0.2
"""PSI above which a column has drifted: the usual "action" limit (Siddiqi 2006)."""
CHANCE = 1e-4
"""False-positive rate of the noise limit: how often equal distributions exceed it."""
_SMOOTHING = 0.5
"""Added to every bin of both distributions: an empty bin would make PSI infinite."""


@dataclass(frozen=True)
class Drift:
    """Distances of a column from its reference; `tolerance` is the larger of the PSI limit and the sampling noise."""

    psi: float
    js: float
    tolerance: float

    @property
    def drifted(self) -> bool:
        """Whether the distance is large, and larger than sampling noise explains."""
        return self.psi > self.tolerance


def drift(reference: Sequence[int], current: Sequence[int]) -> Drift:
    """Compare the counts of the same bins. If either side is empty, there is no drift.

    >>> drift([500, 500], [5000, 5000]).drifted, drift([500, 500], [1000, 9000]).drifted
    (False, True)
    """
    before, after = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if not before.sum() or not after.sum():
        return Drift(0.0, 0.0, MAX_PSI)
    return Drift(psi(before, after), js(before, after), max(MAX_PSI, noise(before, after)))


def psi(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Population stability index: the symmetrised Kullback-Leibler divergence (Siddiqi 2006).

    >>> round(psi(np.array([500.0, 500.0]), np.array([250.0, 750.0])), 2)
    0.27
    """
    expected, observed = (_shares(counts + _SMOOTHING) for counts in (before, after))
    return float(((observed - expected) * np.log(observed / expected)).sum())


def js(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Jensen-Shannon divergence in bits, from 0 to 1 (Lin 1991).

    >>> js(np.array([3.0, 1.0]), np.array([3.0, 1.0])), js(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    (0.0, 1.0)
    """
    expected, observed = _shares(before), _shares(after)
    middle = (expected + observed) / 2
    return float((_divergence(expected, middle) + _divergence(observed, middle)) / 2)


def noise(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """PSI that equal distributions exceed once in 10,000: chi-squared, scaled by the row counts (Yurdakul 2018)."""
    freedom = int(((before + after) > 0).sum()) - 1
    if freedom < 1:
        return 0.0
    from scipy.special import chdtri  # type: ignore[import-untyped]  # a period without predictions needs no SciPy

    return float(chdtri(freedom, CHANCE) * (1 / before.sum() + 1 / after.sum()))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _divergence(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    there = shares > 0
    return float((shares[there] * np.log2(shares[there] / middle[there])).sum())
