"""What a person reads about a period: Evidently's report on samples of fixed size, with methods fixed.

Its defaults choose a test by the number of rows and call everything drifted at scale; here it is Jensen and Shannon's
distance from 0.2 on for every column. The verdict does not rest on it (see `verdict`).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.monitoring.sample import CALLED, PROBABILITY, SUBSCRIBED

_METHOD, _LIMIT = "jensenshannon", 0.2
_ENOUGH = 0.5
"""Share of known outcomes from which the report is about those, and tells how good the predictions were."""
_CATEGORIES = [column.name for column in FEATURES if isinstance(column, Category)]
_NUMBERS = [*(column.name for column in FEATURES if not isinstance(column, Category)), PROBABILITY]


@dataclass(frozen=True)
class Subject:
    """What a report is about; `at` is the period's start."""

    period: str
    model_id: str
    at: datetime
    threshold: float

    @property
    def name(self) -> str:
        """Its name in the workspace."""
        return f"{self.period} {self.model_id}"


def report(subject: Subject, current: pd.DataFrame, reference: pd.DataFrame) -> Snapshot:
    """Data drift and summary, and classification where half of the outcomes or more are known."""
    known = current[current[SUBSCRIBED].notna()]
    judged = len(known) >= _ENOUGH * len(current) and known[SUBSCRIBED].nunique() > 1
    shown = known if judged else current
    presets = [
        DataDriftPreset(
            columns=[*NAMES, PROBABILITY], cat_method=_METHOD, num_method=_METHOD, cat_threshold=_LIMIT,
            num_threshold=_LIMIT,
        ),
        DataSummaryPreset(columns=[*NAMES, PROBABILITY]),
        *([ClassificationPreset(probas_threshold=subject.threshold)] if judged else []),
    ]  # fmt: skip
    metadata: dict[str, str | dict[str, str] | list[str]] = {"period": subject.period, "model_id": subject.model_id}
    # Evidently divides by the spread of columns that a month holds constant
    with np.errstate(divide="ignore", invalid="ignore"):
        return Report(presets, metadata=metadata).run(
            _dataset(shown, judged), _dataset(reference, judged), timestamp=subject.at, name=subject.name
        )


def _dataset(frame: pd.DataFrame, judged: bool) -> Dataset:
    types: dict[str, type] = dict.fromkeys(_NUMBERS, float) | dict.fromkeys(_CATEGORIES, object)
    labels = [SUBSCRIBED, CALLED] if judged else []
    classes = BinaryClassification(
        target=SUBSCRIBED, prediction_labels=CALLED, prediction_probas=PROBABILITY, pos_label=1
    )
    definition = DataDefinition(
        categorical_columns=_CATEGORIES, numerical_columns=_NUMBERS, classification=[classes] if judged else None
    )
    return Dataset.from_pandas(frame[[*types, *labels]].astype(types | dict.fromkeys(labels, int)), definition)
