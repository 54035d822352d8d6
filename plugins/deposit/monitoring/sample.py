"""Samples of fixed size and always the same: a model's predictions in a period, and the rows that it was trained on."""

import pandas as pd
from sqlalchemy import Connection, text

from deposit.data import dataset as datasets
from deposit.data.columns import NAMES
from deposit.model.artifact import ModelArtifact
from deposit.model.candidates import predict
from deposit.monitoring.span import Span
from deposit.settings import Settings
from deposit.store import ObjectStore

SUBSCRIBED, CALLED, PROBABILITY = "subscribed", "called", "probability"
_SEED = 0


def current(connection: Connection, span: Span, model_id: str, rows: int) -> pd.DataFrame:
    """Up to `rows` predictions, chosen by a hash of their ids; `subscribed` is missing where it is not known yet."""
    listed = ", ".join(f'asked."{name.replace(".", "_")}" AS "{name}"' for name in NAMES)
    # every name is the program's own
    statement = text(
        f"SELECT {listed}, asked.probability, asked.subscribes::integer AS {CALLED}, "  # noqa: S608
        f"said.subscribed::integer AS {SUBSCRIBED} FROM ("
        " SELECT * FROM predictions WHERE model_id = :model_id AND event_time >= :start AND event_time < :end"
        " ORDER BY md5(prediction_id::text) LIMIT :rows"
        ") AS asked LEFT JOIN LATERAL ("
        " SELECT subscribed FROM current_outcomes WHERE current_outcomes.prediction_id = asked.prediction_id LIMIT 1"
        ") AS said ON true ORDER BY asked.prediction_id"
    )
    given = {"model_id": model_id, "start": span.start, "end": span.end, "rows": rows}
    result = connection.execute(statement, given)
    return pd.DataFrame(result.all(), columns=list(result.keys()))


def trained_on(settings: Settings, artifact: ModelArtifact, rows: int) -> pd.DataFrame:
    """Up to `rows` of the dataset version that a model was trained on, with its own scores. Raises as `load` does."""
    store, metadata = ObjectStore(settings.store), artifact.metadata
    frame = datasets.load(store, settings.store.data_bucket, metadata["dataset"], metadata.get("left_out", ()))
    within = frame["period"].between(metadata["trained_from"], metadata["trained_through"])
    drawn = frame[within]
    drawn = drawn.sample(min(rows, len(drawn)), random_state=_SEED).sort_index()
    probabilities = predict(artifact, drawn).probabilities
    scored = drawn[list(NAMES)].copy()
    scored[PROBABILITY] = probabilities
    scored[CALLED] = (probabilities >= artifact.threshold).astype(int)
    scored[SUBSCRIBED] = drawn["y"].astype(int)
    return scored
