import csv
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from deposit.data.columns import FEATURES, NAMES, Category
from deposit.model.artifact import ModelArtifact, Parity
from deposit.model.encoder import Encoder
from deposit.monitoring.spool import Spool
from deposit.settings import REPOSITORY, Settings
from serving.access import Access
from serving.application import Application
from serving.metrics import Metrics
from serving.models import Loaded, Models
from serving.routes import routes

ROWS = 2000


@pytest.fixture(scope="session")
def real_rows() -> list[list[Any]]:
    """The first rows of the real file, in the order of NAMES, with the label last."""
    types = [str if isinstance(column, Category) else int if column.integer else float for column in FEATURES]
    with lzma.open(REPOSITORY / "data" / "bank-additional-full.csv.xz", "rt") as file:
        lines = [line for line, _ in zip(csv.DictReader(file, delimiter=";"), range(ROWS), strict=False)]
    return [
        [*(kind(line[name]) for kind, name in zip(types, NAMES, strict=True)), line["y"] == "yes"] for line in lines
    ]


@pytest.fixture(scope="session")
def make_model(real_rows: list[list[Any]]) -> Callable[..., ModelArtifact]:
    """Small real models; another seed gives another model."""

    def make(folder: Path, version: int = 1, seed: int = 0) -> ModelArtifact:
        values = [row[:-1] for row in real_rows]
        encoder = Encoder.fit({name: [row[place] for row in values] for place, name in enumerate(NAMES)})
        matrix = encoder.encode_rows(values)
        labels = np.array([row[-1] for row in real_rows], dtype=float)
        labels[seed :: 7 + seed] = 1
        booster = xgboost.train({"max_depth": 3, "seed": seed, "nthread": 1}, xgboost.DMatrix(matrix, labels), 20)
        artifact = ModelArtifact(
            "xgboost", encoder, booster, -0.1, 0.3, {"dataset": "test", "metrics": {"roc_auc": 0.7}}
        )
        sample = values[:200]
        expected = artifact.probabilities(encoder.encode_rows(sample)).tolist()
        artifact = ModelArtifact(
            artifact.kind,
            encoder,
            booster,
            artifact.shift,
            artifact.threshold,
            artifact.metadata,
            Parity(sample, expected),
        )
        artifact.save(folder)
        release = {"model_id": f"deposit-v{version}", "version": version, "metrics": {"roc_auc": 0.7}}
        (folder / "release.json").write_text(json.dumps(release))
        return artifact

    return make


@pytest.fixture(scope="session")
def customers(real_rows: list[list[Any]]) -> list[dict[str, Any]]:
    """Real rows as customers of a request."""
    return [dict(zip(NAMES, row[:-1], strict=True)) for row in real_rows]


@pytest.fixture(scope="session")
def make_application() -> Callable[[Settings, Path], Application]:
    """The service's inside, wired as in a Bento, around the model in a folder."""

    def make(settings: Settings, folder: Path) -> Application:
        metrics = Metrics()
        application = Application(Access(settings.serve), metrics, settings.serve.request_timeout)
        application.routes = routes(settings, Models(Loaded.open(folder), settings), Spool.of(settings), metrics)
        return application

    return make
