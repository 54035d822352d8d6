"""Whether a month's ingested rows can be trusted although the data sent to the models was faulty. Pure."""

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
    """Ingested rows of a month, compared with those of the months without faults.

    Args:
        period: month, YYYY-MM.
        rows: number of rows.
        comparable: number of rows that they are compared with.
        faults: data quality faults of the rows.
    """

    period: str
    rows: int
    comparable: int
    faults: Sequence[Deviation]

    @property
    def is_good(self) -> bool:
        """Whether models may train on the month: it has enough rows to detect faults, and none were found."""
        return min(self.rows, self.comparable) >= MIN_FAULTY_PREDICTIONS and not self.faults


Profiler = Callable[[pd.DataFrame, Probabilities], ReferenceProfile]


def check_ingested(frame: pd.DataFrame, suspects: Sequence[str], profile: Profiler) -> list[IngestedMonth]:
    """Apply monitoring's data quality rules to the ingested rows of months in which the models received faulty data.

    `frame` comes from `dataset.load`; suspects without rows are skipped. `profile` counts rows and scores, as training
    does. Invalid values do not occur, since ingest rejects such rows.
    """
    suspected = frame["period"].isin(suspects)
    if not suspected.any():
        return []
    others = frame[~suspected]
    # only columns and outcomes are checked: the scores of a constant model will do
    reference = profile(others, np.full(len(others), others[TARGET].mean())) if len(others) else None
    return [
        IngestedMonth(str(period), len(rows), len(others), _faults(reference, rows) if reference else ())
        for period, rows in frame[suspected].groupby("period", observed=True)
    ]


def describe_ingested(month: IngestedMonth) -> str:
    """Whether a month is used, and why, in one sentence."""
    sent = f"{month.period}: the data sent to the models was broken"
    if month.is_good:
        return f"{sent}; its {month.rows:,} ingested rows pass the same checks, so it is used for training"
    if month.faults:
        columns = ", ".join(fault.column for fault in month.faults)
        return f"{sent}, and so are its ingested rows ({columns}): it is excluded"
    return f"{sent}, and {min(month.rows, month.comparable):,} ingested rows are too few to clear it: it is excluded"


def _faults(reference: ReferenceProfile, rows: pd.DataFrame) -> list[Deviation]:
    profiles = {name: _profile(rows[name]) for name in NAMES}
    by_column = [column_fault(name, reference.columns[name], counts, len(rows)) for name, counts in profiles.items()]
    labels = rows[TARGET].to_numpy(np.int8)
    scored = BinnedOutcomes(labels, np.full(len(rows), reference.rate), np.ones(len(rows)))
    return [fault for fault in (*by_column, outcomes_fault(reference, scored)) if fault]


def _profile(values: pd.Series) -> ColumnProfile:
    return ColumnProfile((), int((values == UNKNOWN).sum()), outside=0, constant=values.nunique() <= 1)
