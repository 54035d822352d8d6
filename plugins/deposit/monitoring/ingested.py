"""Whether the ingested rows of a month are good although what the models were sent in it was broken. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deposit.data.columns import NAMES, TARGET
from deposit.model.artifact import Probabilities
from deposit.model.reference import UNKNOWN, ReferenceProfile
from deposit.monitoring.profile import BinnedOutcomes, ColumnProfile
from deposit.monitoring.quality import column_fault, outcomes_fault
from deposit.monitoring.status import MIN_FAULTY_PREDICTIONS, Deviation


@dataclass(frozen=True)
class IngestedMonth:
    """A month's ingested rows, held against those of months in which nothing was broken.

    Args:
        rows: how many they are.
        comparable: how many rows they are held against.
        faults: what is broken in them.
    """

    period: str
    rows: int
    comparable: int
    faults: Sequence[Deviation]

    @property
    def is_good(self) -> bool:
        """Whether models may learn from it: its rows are enough to show a fault, and show none."""
        return min(self.rows, self.comparable) >= MIN_FAULTY_PREDICTIONS and not self.faults


Profiler = Callable[[pd.DataFrame, Probabilities], ReferenceProfile]


def check_ingested(frame: pd.DataFrame, suspects: Sequence[str], profile: Profiler) -> list[IngestedMonth]:
    """Check the months of a dataset in which what models were sent was broken, by the rules for that.

    `frame` as `dataset.load` gives it; months of which it has no rows are left out. `profile` counts rows and their
    scores as training does. A value that is not allowed is in none of the months: ingest refused the row.
    """
    suspected = frame["period"].isin(suspects)
    if not suspected.any():
        return []
    others = frame[~suspected]
    # columns and outcomes alone are looked at, no score: that of a constant model will do
    reference = profile(others, np.full(len(others), others[TARGET].mean())) if len(others) else None
    return [
        IngestedMonth(str(period), len(rows), len(others), _faults(reference, rows) if reference else ())
        for period, rows in frame[suspected].groupby("period", observed=True)
    ]


def describe_ingested(month: IngestedMonth) -> str:
    """What becomes of a month, and why, in one sentence."""
    sent = f"{month.period}: what the models were sent was broken"
    if month.is_good:
        return f"{sent}; its {month.rows:,} ingested rows are good by the same checks, so it is learned from"
    if month.faults:
        columns = ", ".join(fault.column for fault in month.faults)
        return f"{sent}, and so are its ingested rows ({columns}): it is left out"
    return f"{sent}, and {min(month.rows, month.comparable):,} ingested rows are too few to clear it: it is left out"


def _faults(reference: ReferenceProfile, rows: pd.DataFrame) -> list[Deviation]:
    profiles = {name: _profile(rows[name]) for name in NAMES}
    by_column = [column_fault(name, reference.columns[name], counts, len(rows)) for name, counts in profiles.items()]
    labels = rows[TARGET].to_numpy(np.int8)
    scored = BinnedOutcomes(labels, np.full(len(rows), reference.rate), np.ones(len(rows)))
    return [fault for fault in (*by_column, outcomes_fault(reference, scored)) if fault]


def _profile(values: pd.Series) -> ColumnProfile:
    return ColumnProfile((), int((values == UNKNOWN).sum()), outside=0, constant=values.nunique() <= 1)
