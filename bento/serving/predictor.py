"""From a request's bytes to the answer's bytes, with the one model that is baked in."""

import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from deposit.model.artifact import ModelArtifact
from serving.customers import Prediction, PredictRequest, PredictResponse, decode_request, encode, rows
from serving.metrics import Metrics
from serving.problems import RequestError, problems_of, refuse

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}-v[1-9][0-9]{0,8}")


class Predictor:
    """Answers `POST /predict` and knows what `GET /models` tells."""

    def __init__(self, folder: Path, max_customers: int, metrics: Metrics) -> None:
        self._artifact = ModelArtifact.load(folder, threads=1)
        self._max_customers = max_customers
        self._metrics = metrics
        self.release: dict[str, Any] = json.loads((folder / "release.json").read_text())
        self.model_id: str = self.release["model_id"]

    def models(self) -> bytes:
        """The served model with what the training and the test window said of it."""
        return encode({"models": [{**self.release, "threshold": self._artifact.threshold, "live": True}]})

    def predict(self, body: bytes) -> bytes:
        """The JSON answer to a JSON body. Raises RequestError with every problem found."""
        request = self._checked(body)
        customers: list[Any] = request.customers
        probabilities = self._artifact.probabilities(self._artifact.encoder.encode_rows(rows(customers))).tolist()
        threshold = self._artifact.threshold
        predictions = [
            Prediction(customer.id, prediction_id(), probability, probability >= threshold)
            for customer, probability in zip(customers, probabilities, strict=True)
        ]
        yes = sum(prediction.subscribes for prediction in predictions)
        self._metrics.count_predictions(self.model_id, yes, len(predictions) - yes)
        return encode(PredictResponse(self.model_id, predictions))

    def _checked(self, body: bytes) -> PredictRequest:
        try:
            request = decode_request(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _explained(body, str(error)) from error
        if request.model is not None and request.model != self.model_id:
            raise self._wrong_model(request.model)
        if not request.customers:
            raise refuse(422, f"must hold from 1 to {self._max_customers} customers; got none", "customers")
        if len(request.customers) > self._max_customers:
            raise refuse(
                422, f"must hold from 1 to {self._max_customers} customers; got {len(request.customers)}", "customers"
            )
        return request

    def _wrong_model(self, model: str) -> RequestError:
        if not _MODEL_ID.fullmatch(model):
            return refuse(422, "must be a model id like deposit-v7", "model")
        return refuse(404, f"model {model} is not served here; GET /models lists what is ({self.model_id})", "model")


def _explained(body: bytes, reason: str) -> RequestError:
    """Look again, slowly and with a lenient reader, so that NaN and the like are named by row and field."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return refuse(400, "the body is not JSON")
    return RequestError(422, problems_of(document) or refuse(422, reason).problems)


def prediction_id() -> str:
    """A UUID version 7: sortable by time, unique without asking anybody."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (2**62 - 1)
    return str(uuid.UUID(int=value))
