"""Pytest plugin: registered models without MLflow, and the releaser as a thread, for tests of releases."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from deposit.release.repository import Release
    from deposit.settings import Settings

WAIT = 180


@pytest.fixture(scope="session")
def models(make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sound models, and one whose parity file lies."""
    from deposit.model.artifact import ModelArtifact

    folders = {}
    for version in (1, 2, 3):
        folder = tmp_path_factory.mktemp(f"v{version}")
        artifact = make_model(folder, version=version, seed=version)
        (folder / "release.json").unlink()
        if version == 3:
            wrong = [probability + 0.01 for probability in artifact.parity.probabilities]
            shutil.rmtree(folder)
            lying = type(artifact.parity)(artifact.parity.rows, wrong)
            ModelArtifact(**{**vars(artifact), "parity": lying}).save(folder)
        folders[f"deposit-v{version}"] = folder
    return folders


@pytest.fixture
def registered(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The models as if MLflow had them."""
    from deposit.registry.registry import ModelRegistry
    from deposit.registry.versions import Version

    def by_id(_: ModelRegistry, model_id: str) -> Version:
        number = int(model_id.rpartition("v")[2])
        return Version(
            model_id=model_id,
            version=number,
            run_id=f"run{number}",
            metrics={"roc_auc": 0.7},
            aliases=(),
            created="2026",
            dataset="d",
        )

    def download(_: ModelRegistry, version: Version, folder: Path) -> Path:
        return Path(shutil.copytree(models[version.model_id], folder, dirs_exist_ok=True))

    monkeypatch.setattr(ModelRegistry, "by_id", by_id)
    monkeypatch.setattr(ModelRegistry, "champion", lambda registry: by_id(registry, "deposit-v1"))
    monkeypatch.setattr(ModelRegistry, "download", download)
    # MLflow has no run of them, and so no figures for a model card
    monkeypatch.setattr("deposit.release.card_publisher.publish_card", lambda *_: None)


@contextmanager
def releasing(settings: "Settings") -> Iterator[None]:
    """The releaser at work, for as long as the block lasts."""
    from deposit.release import reconciler

    stop = threading.Event()
    thread = threading.Thread(target=reconciler.run, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT)
        assert not thread.is_alive()


def until(look: Callable[[], bool], seconds: float = WAIT) -> None:
    """Wait for what another process does; fails the test when the seconds have passed."""
    import chaos

    def answered() -> bool:
        try:
            return look()
        except httpx.TransportError:
            return False

    chaos.until(answered, seconds)


def release(settings: "Settings", model_id: str) -> "Release":
    """Ask for a release and wait until it is live."""
    from deposit.release import requests

    return requests.wait(settings.database, requests.request_release(settings, model_id).id, WAIT)
