"""How far counts have moved from a reference's: sizes, since at scale every p-value is significant. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri  # type: ignore[import-untyped]

MOVED = 0.2
"""PSI from which a column has moved: the usual "action" limit (Siddiqi 2006)."""
_CHANCE = 1e-4
_SMOOTHING = 0.5
"""Added to each bin of both sides: an empty one would make PSI infinite."""


@dataclass(frozen=True)
class Drift:
    """A column's distance from its reference; `moved` if it is large and more than the rows' number explains."""

    psi: float
    js: float
    moved: bool


def drift(reference: Sequence[int], current: Sequence[int]) -> Drift:
    """Compare counts by bin, of one length. Nothing has moved where one side is empty."""
    before, after = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if not before.sum() or not after.sum():
        return Drift(0.0, 0.0, False)
    size = psi(before, after)
    return Drift(size, js(before, after), bool(size > max(MOVED, noise(before, after))))


def psi(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Population stability index: the sum of Kullback and Leibler's divergences both ways (Siddiqi 2006)."""
    expected, found = (_shares(counts + _SMOOTHING) for counts in (before, after))
    return float(((found - expected) * np.log(found / expected)).sum())


def js(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Jensen and Shannon's divergence in bits, from 0 to 1 (Lin 1991)."""
    expected, found = _shares(before), _shares(after)
    middle = (expected + found) / 2
    return float((_divergence(expected, middle) + _divergence(found, middle)) / 2)


def noise(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """PSI that equal distributions exceed once in 10,000: it is about chi-squared over the rows (Yurdakul 2018)."""
    freedom = int(((before + after) > 0).sum()) - 1
    if freedom < 1:
        return 0.0
    return float(chdtri(freedom, _CHANCE) * (1 / before.sum() + 1 / after.sum()))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _divergence(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    there = shares > 0
    return float((shares[there] * np.log2(shares[there] / middle[there])).sum())
