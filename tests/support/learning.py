"""Datasets and champions made for tests of training and selection."""

import pandas as pd

from deposit.data import dataset
from deposit.registry import tracking
from deposit.registry.registry import ModelRegistry
from deposit.settings import Settings
from deposit.store import ObjectStore
from deposit.training.training import TrainingResult


def published(settings: Settings, rows: pd.DataFrame) -> str:
    """Publish rows as a dataset version, which is then the one ingested last."""
    made, _ = dataset.publish(ObjectStore(settings.store).data, rows, dataset.Origin("test", "0" * 64, 0))
    return made.version


def make_champion(settings: Settings, training: TrainingResult) -> None:
    """Register the challenger of a training, and make it champion by hand."""
    client = tracking.connect(settings.mlflow.tracking_uri)
    run = client.get_run(client.get_run(training.run_id).data.tags["deposit.challenger_run"])
    made = ModelRegistry(settings).register(run)
    client.set_registered_model_alias(settings.mlflow.model_name, "champion", str(made.version))
