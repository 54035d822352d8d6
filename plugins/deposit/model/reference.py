"""What a model was trained on, counted: a histogram of each column and of its score, with edges to count others by.

Bins of numbers are those of PostgreSQL's `width_bucket(value, edges)`: bin `i` holds what lies from `edges[i - 1]` on
and below `edges[i]`. Bins of categories are the allowed values. What the contract does not allow is counted apart.
Needs no pandas: a model in a service carries it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

RateCube = tuple[tuple[tuple[float, ...], ...], ...]
"""Probabilities by outcome of the earlier campaign, kind of phone and age band, as `mixture.FACTORS` orders them."""
SCORE, UNKNOWN = "probability", "unknown"
"""The score among the columns."""


@dataclass(frozen=True)
class Histogram:
    """One column's counts.

    Args:
        edges: inner edges of a number, ascending; empty for a category.
        labels: values of a category, one a bin; empty for a number.
        counts: rows by bin.
        mode_share: highest share that one value had in any period: a month's constant has 1.
        unknown_share: highest share of `unknown` in any period.
    """

    edges: tuple[float, ...]
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    mode_share: float
    unknown_share: float

    @property
    def bins(self) -> tuple[str, ...]:
        """What each bin holds, in words."""
        if self.labels:
            return self.labels
        if not self.edges:
            return ("all",)
        inner = [f"{low:.6g} to {high:.6g}" for low, high in pairwise(self.edges)]
        return (f"below {self.edges[0]:.6g}", *inner, f"{self.edges[-1]:.6g} or more")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Histogram":
        """From its attributes."""
        lists = {name: tuple(content[name]) for name in ("edges", "labels", "counts")}
        return cls(**lists, mode_share=content["mode_share"], unknown_share=content["unknown_share"])


@dataclass(frozen=True)
class ReferenceProfile:
    """A model's training rows.

    Args:
        rows: how many they are.
        rate: the share that subscribed.
        lowest_rate: the lowest such share of any month.
        highest_rate: the highest.
        columns: histograms by column, the score's among them.
        rate_table: what the rate table would answer, fitted on the same rows; None in models of before it was kept.
    """

    rows: int
    rate: float
    lowest_rate: float
    highest_rate: float
    columns: Mapping[str, Histogram]
    rate_table: RateCube | None = None

    def to_json(self) -> dict[str, Any]:
        """As what `from_json` reads."""
        return {
            "rows": self.rows,
            "rate": self.rate,
            "lowest_rate": self.lowest_rate,
            "highest_rate": self.highest_rate,
            "columns": {name: dict(vars(histogram)) for name, histogram in self.columns.items()},
            "rate_table": self.rate_table,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ReferenceProfile":
        """From what `to_json` gave; models of before the monthly rates were kept have the rate of all rows alone."""
        rate = content["rate"]
        lowest, highest = (content.get(name, rate) for name in ("lowest_rate", "highest_rate"))
        columns = {name: Histogram.from_json(histogram) for name, histogram in content["columns"].items()}
        cells = content.get("rate_table")
        rate_table = None if cells is None else tuple(tuple(map(tuple, contacts)) for contacts in cells)
        return cls(content["rows"], rate, lowest, highest, columns, rate_table)
