"""How far each column is from training, month by month, as a table of cells. Pure."""

from bisect import bisect_right
from dataclasses import dataclass

from deposit.overview.monthly import MonthlyFigures

STEPS = (0.1, 0.2, 0.5, 1.0)
"""PSI at which a cell's shade deepens; 0.2 is where monitoring's own limit begins (`monitoring/drift.py`)."""


@dataclass(frozen=True)
class HeatCell:
    """A column's PSI in a month, its shade (0 to 4), and whether it is beyond what monitoring allows."""

    psi: float
    shade: int
    moved: bool


@dataclass(frozen=True)
class HeatRow:
    """One column; None for a month without predictions."""

    column: str
    cells: tuple[HeatCell | None, ...]

    @property
    def moved_months(self) -> int:
        """In how many months it was beyond what is allowed."""
        return sum(cell is not None and cell.moved for cell in self.cells)


@dataclass(frozen=True)
class Heatmap:
    """Columns by months, what moved most on top."""

    periods: tuple[str, ...]
    rows: tuple[HeatRow, ...]


def heatmap(figures: MonthlyFigures) -> Heatmap:
    """Of one registered model's months."""
    rows = [
        HeatRow(column, tuple(None if cell is None else _cell(*cell) for cell in cells))
        for column, cells in figures.drift.items()
    ]
    return Heatmap(figures.periods, tuple(sorted(rows, key=_order)))


def _cell(psi: float, moved: bool) -> HeatCell:
    return HeatCell(psi, bisect_right(STEPS, psi), moved)


def _order(row: HeatRow) -> tuple[int, float, str]:
    return -row.moved_months, -max((cell.psi for cell in row.cells if cell), default=0.0), row.column
