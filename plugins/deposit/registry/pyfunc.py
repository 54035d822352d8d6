"""The model as an MLflow pyfunc, loaded from code and data files without a pickle."""

import warnings
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deposit.model.artifact import ModelArtifact
from deposit.registry.model_files import ARTIFACT

with warnings.catch_warnings(action="ignore"):  # importing it warns about MLflow's own type hints
    import mlflow.pyfunc


class DepositModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """Predicts the probability of a subscription for frames with the raw columns."""

    def load_context(self, context: Any) -> None:
        """Load and verify the model's files."""
        self._artifact = ModelArtifact.load(Path(context.artifacts[ARTIFACT]))

    def predict(self, context: Any, model_input: pd.DataFrame) -> NDArray[np.float64]:  # noqa: ARG002
        """Probabilities, shape (n,)."""
        return self._artifact.probabilities(self._artifact.encoder.encode_columns(model_input))


mlflow.models.set_model(DepositModel())
