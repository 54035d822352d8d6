"""Reference profile: histograms of a model's training columns and score, with edges to bin later rows in the same way.

Numbers are binned like PostgreSQL's `width_bucket(value, edges)`: bin `i` holds values from `edges[i - 1]` on and
below `edges[i]`. A category has a bin for each allowed value. Values that the contract does not allow are counted
separately. Imports no pandas, because the service loads it with the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

RateCube = tuple[tuple[tuple[float, ...], ...], ...]
"""Probabilities by previous outcome, contact type and age band, in the order of `mixture.FACTORS`."""
SCORE, UNKNOWN = "probability", "unknown"
"""Name of the score among the columns, and the category value that means unknown."""


@dataclass(frozen=True)
class Histogram:
    """Histogram of one column.

    Args:
        edges: inner bin edges of a number, ascending; empty for a category.
        labels: values of a category, one per bin; empty for a number.
        counts: rows in each bin.
        mode_share: highest share of a single value in any period; 1 for a column that is constant within a month.
        unknown_share: highest share of `unknown` in any period.
    """

    edges: tuple[float, ...]
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    mode_share: float
    unknown_share: float

    @property
    def bins(self) -> tuple[str, ...]:
        """Description of each bin."""
        if self.labels:
            return self.labels
        if not self.edges:
            return ("all",)
        inner = [f"{low:.6g} to {high:.6g}" for low, high in pairwise(self.edges)]
        return (f"below {self.edges[0]:.6g}", *inner, f"{self.edges[-1]:.6g} or more")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Histogram":
        """Restore a histogram from a mapping of its attributes."""
        lists = {name: tuple(content[name]) for name in ("edges", "labels", "counts")}
        return cls(**lists, mode_share=content["mode_share"], unknown_share=content["unknown_share"])


@dataclass(frozen=True)
class ReferenceProfile:
    """Profile of a model's training rows.

    Args:
        rows: number of rows.
        rate: share of the rows that subscribed.
        lowest_rate: lowest share of any month.
        highest_rate: highest share of any month.
        columns: histograms by column, including the score's.
        rate_table: probabilities of a rate table fitted on the same rows; None in older models.
    """

    rows: int
    rate: float
    lowest_rate: float
    highest_rate: float
    columns: Mapping[str, Histogram]
    rate_table: RateCube | None = None

    def to_json(self) -> dict[str, Any]:
        """The profile as plain data."""
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
        """Restore a profile from the result of `to_json`; older models have only the rate of all rows."""
        rate = content["rate"]
        lowest, highest = (content.get(name, rate) for name in ("lowest_rate", "highest_rate"))
        columns = {name: Histogram.from_json(histogram) for name, histogram in content["columns"].items()}
        cells = content.get("rate_table")
        rate_table = None if cells is None else tuple(tuple(map(tuple, contacts)) for contacts in cells)
        return cls(content["rows"], rate, lowest, highest, columns, rate_table)
