import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from evidently.ui.workspace import Workspace
from watchdog.events import EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from deposit.monitoring.workspace import PROJECT, shared_project


class Recorder(FileSystemEventHandler):
    def __init__(self) -> None:
        self.events: Queue[FileSystemEvent] = Queue()

    def on_any_event(self, event: FileSystemEvent) -> None:
        self.events.put(event)


def test_the_ui_sees_a_project_only_when_it_is_whole(tmp_path: Path) -> None:
    recorder, observer = Recorder(), Observer()
    observer.schedule(recorder, str(tmp_path), recursive=True)
    observer.start()
    project = shared_project(tmp_path)
    (tmp_path / "end").touch()
    kinds = set()
    while (event := recorder.events.get(timeout=60)).src_path != str(tmp_path / "end"):
        if event.src_path == str(tmp_path / str(project) / "metadata.json"):
            kinds.add(event.event_type)
    observer.stop()
    observer.join()
    assert EVENT_TYPE_CREATED in kinds
    assert EVENT_TYPE_MODIFIED not in kinds


def test_processes_that_monitor_for_the_first_time_together_share_a_project(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(shared_project, [tmp_path] * 4))) == 1
    [project] = Workspace.create(str(tmp_path)).search_project(PROJECT)
    [tab] = project.dashboard.model().tabs
    assert len(tab.panels) == 3
    assert sorted(file.name for file in (tmp_path / str(project.id)).iterdir()) == ["dashboard.json", "metadata.json"]


def test_a_project_that_stands_is_used(tmp_path: Path) -> None:
    earlier = Workspace.create(str(tmp_path)).create_project(PROJECT)
    assert shared_project(tmp_path) == earlier.id
    [metadata] = tmp_path.glob("*/metadata.json")
    assert json.loads(metadata.read_text())["name"] == PROJECT
