"""Drift of each column by month, as a heatmap. Pure functions."""

from bisect import bisect_right
from dataclasses import dataclass

from deposit.overview.monthly import MonthlyFigures

STEPS = (0.1, 0.2, 0.5, 1.0)
"""PSI from which a cell has the next darker shade; 0.2 is the drift limit of monitoring (`monitoring/drift.py`)."""


@dataclass(frozen=True)
class HeatCell:
    """PSI of a column in a month, its shade (0 to 4), and whether monitoring has reported drift (`moved`)."""

    psi: float
    shade: int
    moved: bool


@dataclass(frozen=True)
class HeatRow:
    """One column; a cell is None for a month without predictions."""

    column: str
    cells: tuple[HeatCell | None, ...]

    @property
    def moved_months(self) -> int:
        """Number of months in which the column drifted."""
        return sum(cell is not None and cell.moved for cell in self.cells)


@dataclass(frozen=True)
class Heatmap:
    """Columns by months, largest drift first."""

    periods: tuple[str, ...]
    rows: tuple[HeatRow, ...]


def heatmap(figures: MonthlyFigures) -> Heatmap:
    """Build the heatmap of one registered model."""
    rows = [
        HeatRow(column, tuple(None if cell is None else _cell(*cell) for cell in cells))
        for column, cells in figures.drift.items()
    ]
    return Heatmap(figures.periods, tuple(sorted(rows, key=_order)))


def _cell(psi: float, moved: bool) -> HeatCell:
    return HeatCell(psi, bisect_right(STEPS, psi), moved)


def _order(row: HeatRow) -> tuple[int, float, str]:
    return -row.moved_months, -max((cell.psi for cell in row.cells if cell), default=0.0), row.column
