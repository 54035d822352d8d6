"""The workspace of Evidently's UI: one project, with a run for each model and period."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
from evidently.core.report import Snapshot
from evidently.sdk.models import PanelMetric, ProjectModel
from evidently.sdk.panels import line_plot_panel
from evidently.ui.storage.local.base import PROJECT_FILE_NAME, SNAPSHOTS_DIR_NAME
from evidently.ui.workspace import Workspace

PROJECT = "deposit"
_PROJECT_ID = uuid5(NAMESPACE_URL, PROJECT)
_PANELS = {
    "Share of columns that have drifted": [("DriftedColumnsCount", "share")],
    "ROC AUC, accuracy, F1 where outcomes are known": [("RocAuc", ""), ("Accuracy", ""), ("F1Score", "")],
    "Predictions in the sample": [("RowCount", "")],
}
"""Panels of the project's dashboard: series by title."""


def keep_run(folder: Path, name: str, snapshot: Snapshot) -> None:
    """Store a snapshot for the UI, replacing an earlier one with the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    project = shared_project(folder)
    workspace = Workspace.create(str(folder))
    for run_id in workspace.list_runs(project):
        if _name(folder / str(project) / SNAPSHOTS_DIR_NAME / f"{run_id}.json") == name:
            workspace.delete_run(project, run_id)
    workspace.add_run(project, snapshot)


class _Named(msgspec.Struct):
    name: str | None = None


def _name(file: Path) -> str | None:
    """Name of a stored run or project, without parsing the whole file: that is MiB of JSON for each period."""
    return msgspec.json.decode(file.read_bytes(), type=_Named).name


def shared_project(folder: Path) -> UUID:
    """Id of this system's project in a workspace; the project is created if it is missing.

    Evidently's UI reads a project as soon as its file appears. A partial file stops its file watcher, and new runs are
    not shown until the UI is restarted. The file is therefore created atomically, by a hard link: the UI ignores
    renamed files.
    """
    for file in folder.glob(f"*/{PROJECT_FILE_NAME}"):
        if _name(file) == PROJECT:
            return UUID(file.parent.name)
    home = folder / str(_PROJECT_ID)
    with TemporaryDirectory() as scratch:
        _make_project(Workspace.create(scratch))
        made = Path(scratch, str(_PROJECT_ID))
        shutil.copytree(made, home, ignore=shutil.ignore_patterns(PROJECT_FILE_NAME), dirs_exist_ok=True)
        whole = home / f"{uuid4()}.part"
        shutil.copyfile(made / PROJECT_FILE_NAME, whole)
    with suppress(FileExistsError):  # created concurrently by another process
        os.link(whole, home / PROJECT_FILE_NAME)
    whole.unlink()
    return _PROJECT_ID


def _make_project(workspace: Workspace) -> None:
    description = "Predictions of each model by period, compared with its training data"
    project = workspace.add_project(ProjectModel(id=_PROJECT_ID, name=PROJECT, description=description))
    for title, lines in _PANELS.items():
        values = [
            PanelMetric(metric=metric, metric_labels={"value_type": kind} if kind else {}, legend=metric)
            for metric, kind in lines
        ]
        project.dashboard.add_panel(line_plot_panel(title=title, values=values, size="full"))
