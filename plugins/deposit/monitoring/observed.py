"""What a period held, as counts: all that verdicts are made from, whatever the number of rows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deposit.model.artifact import Probabilities
from deposit.model.metrics import Values
from deposit.model.recipes import Labels


@dataclass(frozen=True)
class ColumnCounts:
    """One column in a period.

    Args:
        counts: rows by bin of the reference's histogram.
        unknown: rows that say `unknown`.
        outside: rows with a value that the contract does not allow, or none.
        constant: whether all rows have one value.
    """

    counts: tuple[int, ...]
    unknown: int
    outside: int
    constant: bool


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions whose outcome is known, in groups of one decision and nearly one score; arrays of shape (groups,).

    Args:
        labels: 1 where the group subscribed.
        probabilities: mean score of the group.
        rows: how many predictions it holds.
    """

    labels: Labels
    probabilities: Probabilities
    rows: Values


@dataclass(frozen=True, eq=False)
class Observed:
    """One model's predictions in a period; latencies are upper edges of histogram bins, in milliseconds."""

    rows: int
    called: int
    mean_probability: float
    latencies: Mapping[str, float]
    columns: Mapping[str, ColumnCounts]
    scored: Scored
