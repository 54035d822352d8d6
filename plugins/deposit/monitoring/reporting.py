"""Write a period's reports: HTML into the object store, snapshots into the workspace that Evidently's UI shows."""

from dataclasses import dataclass

from evidently.core.report import Snapshot
from evidently.sdk.models import PanelMetric
from evidently.sdk.panels import line_plot_panel
from evidently.ui.workspace import Project, Workspace

from deposit.database import transaction
from deposit.errors import DataError
from deposit.model import registry
from deposit.monitoring import counting, evidence, figures, sample, verdicts
from deposit.monitoring.evidence import Subject
from deposit.monitoring.figures import Figure
from deposit.monitoring.span import span_of
from deposit.progress import Progress, log_progress
from deposit.settings import Settings
from deposit.store import ObjectStore

PROJECT = "deposit"
_PANELS = {
    "Share of columns that have moved": [("DriftedColumnsCount", "share")],
    "ROC AUC, accuracy, F1 where outcomes are known": [("RocAuc", ""), ("Accuracy", ""), ("F1Score", "")],
    "Predictions in the sample": [("RowCount", "")],
}
"""Lines of the project's dashboard, by their titles."""


@dataclass(frozen=True)
class WrittenReport:
    """One report and where its HTML is."""

    period: str
    model_id: str
    uri: str


def write_reports(settings: Settings, period: str, progress: Progress = log_progress) -> list[WrittenReport]:
    """Write the reports of all models that predicted in a period; a repeat replaces them.

    A model that is gone from the registry is left out. Raises ConfigError (no period), SourceError or UpstreamError.
    """
    span = span_of(period)
    written = []
    with transaction(settings.database) as connection:
        for model_id in counting.models_of(connection, span, settings.mlflow.model_name):
            progress(f"{span.name}: writing the report of {model_id}")
            try:
                artifact = registry.load(settings, registry.by_id(settings, model_id))
            except DataError as error:
                progress(f"{span.name}: {model_id} is left out: {error}")
                continue
            rows = settings.monitor.sample_rows
            subject = Subject(span.name, model_id, span.start, artifact.threshold)
            current = sample.current(connection, span, model_id, rows)
            snapshot = evidence.report(subject, current, sample.trained_on(settings, artifact, rows))
            uri = _keep(settings, subject, snapshot)
            figures.add(connection, span.name, Figure(model_id, "report", float(len(current)), note=uri))
            written.append(WrittenReport(span.name, model_id, uri))
    return written


def _keep(settings: Settings, subject: Subject, snapshot: Snapshot) -> str:
    bucket, key = settings.store.reports_bucket, verdicts.report_key(subject.period, subject.model_id)
    html = snapshot.get_html_str(as_iframe=False)
    uri = ObjectStore(settings.store).put(bucket, key, html.encode(), "text/html; charset=utf-8")
    settings.workspace_path.mkdir(parents=True, exist_ok=True)
    workspace = Workspace.create(str(settings.workspace_path))
    project = _project(workspace)
    for run_id in workspace.list_runs(project.id):
        run = workspace.get_run(project.id, run_id)
        if run is not None and run.name == subject.name:
            workspace.delete_run(project.id, run_id)
    workspace.add_run(project.id, snapshot)
    return uri


def _project(workspace: Workspace) -> Project:
    found = workspace.search_project(PROJECT)
    if found:
        return found[0]
    made = workspace.create_project(PROJECT, "What each model predicted, by period, beside what it was trained on")
    for title, lines in _PANELS.items():
        values = [
            PanelMetric(metric=metric, metric_labels={"value_type": kind} if kind else {}, legend=metric)
            for metric, kind in lines
        ]
        made.dashboard.add_panel(line_plot_panel(title=title, values=values, size="full"), tab="Periods")
    return made
