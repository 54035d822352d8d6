from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from learning import published
from mlflow.tracking import MlflowClient
from mlflowserver import mlflow_server

from deposit.data import ingest, periods, sources
from deposit.progress import log_progress
from deposit.registry import tracking
from deposit.sections import IngestSettings, MlflowSettings, StoreSettings, TrainSettings
from deposit.settings import Settings
from deposit.training import training
from deposit.training.recipes import RECIPES
from deposit.training.training import TrainingResult, train

FEW = tuple(recipe for recipe in RECIPES if recipe.name in ("logistic-c01", "xgboost-tuned", "rates"))


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the server keeps what it knows."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory, artifacts: Path, backend: str, free_ports) -> Iterator[str]:
    log = tmp_path_factory.mktemp("log") / "log"
    with mlflow_server(free_ports(1), log, backend, str(artifacts)) as uri:
        yield uri


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Every eighth real row."""
    folder = tmp_path_factory.mktemp("history")
    good = ingest.check(sources.fetch(IngestSettings(), folder, log_progress), log_progress).good
    return good.assign(period=periods.assign(good["month"], 2008, 2026)).iloc[::8]


@pytest.fixture(scope="session")
def settings(tracking_uri: str, object_store: StoreSettings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        state_dir=tmp_path_factory.mktemp("state"),
        store=object_store,
        mlflow=MlflowSettings(tracking_uri=tracking_uri),
        train=TrainSettings(trials=6, bootstrap=100),
        revision="abc123",
    )


@pytest.fixture(scope="module", autouse=True)
def published_rows(settings: Settings, rows: pd.DataFrame) -> str:
    """The version of the rows that `good` was trained on; tests of other modules empty the bucket."""
    return published(settings, rows)


@pytest.fixture(scope="session")
def good(settings: Settings, rows: pd.DataFrame) -> TrainingResult:
    return train(settings, published(settings, rows))


@pytest.fixture(scope="session")
def bad(settings: Settings, rows: pd.DataFrame) -> TrainingResult:
    """Another table of recipes, trained on shuffled outcomes; the newest months are as they were."""
    outcomes = rows["y"].to_numpy().copy()
    past = (rows["period"] < "2010-05").to_numpy()
    outcomes[past] = np.random.default_rng(1).permutation(outcomes[past])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "RECIPES", RECIPES[:1])
        return train(settings, published(settings, rows.assign(y=outcomes)))


@pytest.fixture
def few_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe of each family: what a test trains by itself takes seconds of a processor instead of half a minute."""
    monkeypatch.setattr(training, "RECIPES", FEW)


@pytest.fixture(scope="session")
def quick_settings(settings: Settings) -> Settings:
    return settings.changed("train", trials=1)


@pytest.fixture(scope="session")
def quick(quick_settings: Settings, rows: pd.DataFrame) -> TrainingResult:
    """What `good` learned from, by few recipes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "RECIPES", FEW)
        return train(quick_settings, published(quick_settings, rows))


@pytest.fixture
def own(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A registered model of the test's own."""
    return settings.changed("mlflow", model_name=f"deposit-{request.node.name.replace('_', '-')[:60]}")


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return tracking.connect(settings.mlflow.tracking_uri)
