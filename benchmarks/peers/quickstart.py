"""Peer (b), BentoML as in its quickstart: a service class, a typed API, a model from the model store."""

import bentoml
import pandas as pd


@bentoml.service(workers=1)
class Quickstart:
    """Scores customers."""

    bento_model = bentoml.models.BentoModel("bank_marketing:latest")

    def __init__(self) -> None:
        self.model = bentoml.sklearn.load_model(self.bento_model)

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, customers: pd.DataFrame) -> list[float]:
        """Probability of a subscription for each customer."""
        probabilities: list[float] = self.model.predict_proba(customers)[:, 1].tolist()
        return probabilities
