"""Evidently's report of a model's period: HTML to the object store, a snapshot to the workspace of Evidently's UI.

Evidently's defaults choose a test by the number of rows and report drift everywhere at scale. Here every column uses
the Jensen-Shannon distance with a limit of 0.2, on samples of fixed size. The assessment does not depend on the report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

from deposit.data import dataset as datasets
from deposit.data.columns import CATEGORIES, NAMES, NUMBERS
from deposit.data.period import Period
from deposit.database import transaction
from deposit.model.artifact import ModelArtifact
from deposit.model.evaluation import predict
from deposit.monitoring import metric_rows
from deposit.monitoring.metric_rows import MetricRow
from deposit.monitoring.period_rows import CALLED, PROBABILITY, SAMPLED, SUBSCRIBED, Sample
from deposit.monitoring.status import report_key
from deposit.monitoring.workspace import keep_run
from deposit.sections import StoreSettings
from deposit.settings import Settings
from deposit.store import ObjectStore

_SEED = 0


def sample_training_rows(store: StoreSettings, artifact: ModelArtifact, rows: int) -> pd.DataFrame:
    """Up to `rows` rows of a model's training data, with the model's scores. Raises as `load` does."""
    bucket, metadata = ObjectStore(store).data, artifact.metadata
    parts = [
        part
        for part in datasets.manifest(bucket, metadata.dataset).files
        if metadata.train_start <= part.period <= metadata.train_end and part.period not in metadata.excluded_periods
    ]
    ends = np.cumsum([part.rows for part in parts])
    places = np.sort(pd.Series(range(ends[-1])).sample(min(rows, ends[-1]), random_state=_SEED).to_numpy())
    # month by month: loading all of them would dominate the report's peak memory
    tables = [
        datasets.read_part(bucket, part).take(own - (end - part.rows))
        for part, end, own in zip(parts, ends, np.split(places, np.searchsorted(places, ends[:-1])), strict=True)
    ]
    drawn: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    probabilities = predict(artifact, drawn).probabilities
    scored = drawn[list(NAMES)].copy()
    scored[PROBABILITY] = probabilities
    scored[CALLED] = (probabilities >= artifact.threshold).astype(int)
    scored[SUBSCRIBED] = drawn["y"].astype(int)
    return scored


_METHOD, _LIMIT = "jensenshannon", 0.2
_ENOUGH = 0.5
"""Share of known outcomes from which the report covers only the rows with outcomes, with classification metrics."""
_CATEGORIES, _NUMBERS = list(CATEGORIES), [*NUMBERS, PROBABILITY]


@dataclass(frozen=True)
class ReportSubject:
    """What a report is about; `at` is the start of the period."""

    period: str
    model_id: str
    at: datetime
    threshold: float

    @property
    def name(self) -> str:
        """Name in the workspace."""
        return f"{self.period} {self.model_id}"


def evidently_report(subject: ReportSubject, current: pd.DataFrame, reference: pd.DataFrame) -> Snapshot:
    """Data drift and summary; also classification if at least half of the outcomes are known and both values occur."""
    known = current[current[SUBSCRIBED].notna()]
    labelled = len(known) >= _ENOUGH * len(current) and known[SUBSCRIBED].nunique() > 1
    rows = known if labelled else current
    presets = [
        DataDriftPreset(
            columns=[*NAMES, PROBABILITY], cat_method=_METHOD, num_method=_METHOD, cat_threshold=_LIMIT,
            num_threshold=_LIMIT,
        ),
        DataSummaryPreset(columns=[*NAMES, PROBABILITY]),
        *([ClassificationPreset(probas_threshold=subject.threshold)] if labelled else []),
    ]  # fmt: skip
    metadata: dict[str, str | dict[str, str] | list[str]] = {"period": subject.period, "model_id": subject.model_id}
    # Evidently divides by the spread of columns that are constant within a month
    with np.errstate(divide="ignore", invalid="ignore"):
        return Report(presets, metadata=metadata).run(
            _dataset(rows, labelled), _dataset(reference, labelled), timestamp=subject.at, name=subject.name
        )


_FIGURES = {
    "DriftedColumnsCount": "drifted_columns_share",
    "ValueDrift": "drift",
    "MissingValueCount": "missing_share",
    "Accuracy": "accuracy",
    "F1Score": "f1",
    "RocAuc": "roc_auc",
}
"""Evidently's metrics that are stored, with their names in `metrics`."""


def evidently_metrics(model_id: str, snapshot: Snapshot) -> Iterator[MetricRow]:
    """Evidently's results as rows of `metrics`: counts as shares, drift as distances."""
    for metric in snapshot.dict()["metrics"]:
        name = _FIGURES.get(metric["config"]["type"].rpartition(":")[2])
        if name:
            value = metric["value"]["share"] if isinstance(metric["value"], dict) else metric["value"]
            column = metric["config"].get("column", "")
            yield MetricRow(model_id, metric_rows.EVIDENTLY + name, float(value), column)


def _dataset(frame: pd.DataFrame, labelled: bool) -> Dataset:
    types: dict[str, type] = dict.fromkeys(_NUMBERS, float) | dict.fromkeys(_CATEGORIES, object)
    labels = [SUBSCRIBED, CALLED] if labelled else []
    classes = BinaryClassification(
        target=SUBSCRIBED, prediction_labels=CALLED, prediction_probas=PROBABILITY, pos_label=1
    )
    definition = DataDefinition(
        categorical_columns=_CATEGORIES, numerical_columns=_NUMBERS, classification=[classes] if labelled else None
    )
    # via categories, so that equal strings share one object
    shared = frame[[*types, *labels]].astype(dict.fromkeys(_CATEGORIES, "category"))
    return Dataset.from_pandas(shared.astype(types | dict.fromkeys(labels, int)), definition)


@dataclass(frozen=True)
class DraftedReport:
    """A report that is not stored yet, without its rows; `rows` is the number of predictions in it."""

    subject: ReportSubject
    rows: int
    snapshot: Snapshot


@dataclass(frozen=True)
class WrittenReport:
    """A stored report and the URI of its HTML."""

    period: str
    model_id: str
    uri: str


def draft_report(
    store: StoreSettings, most: int, span: Period, model_id: str, artifact: ModelArtifact, sample: Sample
) -> DraftedReport:
    """Compute the report of a model's period from a sample of its predictions and up to `most` training rows.

    Raises SourceError or UpstreamError.
    """
    subject = ReportSubject(span.name, model_id, span.start, artifact.threshold)
    reference = sample_training_rows(store, artifact, most)
    current = pd.DataFrame(sample, columns=list(SAMPLED))
    snapshot = evidently_report(subject, current, reference)
    # without the rows and Evidently's intermediate data, which would stay in memory until the report is stored
    return DraftedReport(subject, len(current), Snapshot.load_model(snapshot.to_snapshot_model()))


def store_report(settings: Settings, draft: DraftedReport) -> WrittenReport:
    """Store a report, and its metrics in `metrics`; replaces an earlier report. Raises UpstreamError."""
    subject, snapshot = draft.subject, draft.snapshot
    key = report_key(subject.period, subject.model_id)
    # not assigned to a name: these MiB are freed before the workspace allocates as many
    uri = ObjectStore(settings.store).reports.put(
        key, snapshot.get_html_str(as_iframe=False).encode(), "text/html; charset=utf-8"
    )
    keep_run(settings.workspace_path, subject.name, snapshot)
    report = MetricRow(subject.model_id, metric_rows.REPORT, float(draft.rows), note=uri)
    rows = [report, *evidently_metrics(subject.model_id, snapshot)]
    with transaction(settings.database) as connection:
        metric_rows.replace_report(connection, subject.period, subject.model_id, rows)
    return WrittenReport(subject.period, subject.model_id, uri)
