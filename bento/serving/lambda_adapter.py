"""The service as an AWS Lambda function behind an HTTP API or a function URL (payload format 2.0)."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, Response

from deposit.errors import ConfigError, LogError
from deposit.log.destination import PredictionLog, prediction_log
from deposit.settings import Settings
from serving.access import PREDICT, Access
from serving.application import Application, Scope, Send, routes
from serving.documents import keys_document
from serving.http import Receive
from serving.models import LoadedModel, ModelCache
from serving.problems import RequestError
from serving.request_counts import Metrics, TrafficLog

MAX_ANSWER_BYTES = 4_500_000
"""Lambda limits responses to 6 MB, which includes the base64 overhead of large bodies."""
_AS_TEXT = 256 * 2**10
"""Larger bodies are sent as base64, whose size is predictable; in JSON text a quote takes two bytes, an accented letter
six."""
_FORMAT = "2.0"


class HttpApiEvent(HTTPGateway):
    """Converts one event to ASGI and back, without the stage name that the API puts into the path."""

    @classmethod
    def infer(cls, event: dict[str, Any], context: Any, config: LambdaConfig) -> bool:
        """Return whether this is an event in payload format 2.0."""
        return event.get("version") == _FORMAT and super().infer(event, context, config)

    def __init__(self, event: dict[str, Any], context: Any, config: LambdaConfig) -> None:
        stage = event["requestContext"].get("stage", "")
        prefix = re.match(f"/{re.escape(stage)}(?=/|$)", event["requestContext"]["http"]["path"])
        super().__init__(event, context, {**config, "api_gateway_base_path": prefix[0] if prefix else "/"})

    def __call__(self, response: Response) -> dict[str, Any]:
        """Convert a response to Lambda's format."""
        if len(response["body"]) > _AS_TEXT:
            self.config["text_mime_types"] = []
        return super().__call__(response)


class LambdaAdapter:
    """Handles events; predictions and traffic counts are stored before the function is frozen."""

    def __init__(self, application: Application, traffic: TrafficLog, log: PredictionLog) -> None:
        self._application = application
        self._traffic = traffic
        self._log = log
        self._mangum = Mangum(self._serve, lifespan="off", custom_handlers=[HttpApiEvent])

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Return the response to an event."""
        return self._mangum(event, context)

    def close(self) -> None:
        """Close the database connection; Lambda itself never announces the end of a function."""
        self._log.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)
        await self._traffic.flush()


def front_end(settings: Settings, model: Path) -> LambdaAdapter:
    """Build the service for the model in a folder and warm it up for the first request.

    Raises ConfigError if, with these settings, predictions could be lost or the service would be open to everybody.
    """
    if settings.log.destination != "database":
        raise ConfigError(
            "DEPOSIT_LOG__DESTINATION must be `database`: a function is frozen after its response and loses its disk"
        )
    if keys_document(settings.serve) is None:
        raise ConfigError(
            "DEPOSIT_SERVE__KEYS_SECRET_ID is not set, although an HTTP API is public; to allow requests without a "
            'key, set the secret to {"open": true}'
        )
    if settings.serve.max_answer_bytes is None:
        settings = settings.changed("serve", max_answer_bytes=MAX_ANSWER_BYTES)
    metrics, log = Metrics(), prediction_log(settings)
    access, models = Access(settings.serve), ModelCache(LoadedModel.open(model, settings.expiry), settings)
    application = Application(access, metrics, settings.serve.request_timeout)
    application.routes = routes(settings, models, log, metrics)
    _warm(access, models, log)
    return LambdaAdapter(application, TrafficLog(metrics.traffic, log), log)


def _warm(access: Access, models: ModelCache, log: PredictionLog) -> None:
    """Read keys and catalog, connect to PostgreSQL, call the model; errors are ignored, a later request may succeed."""
    models.listing()
    with suppress(RequestError):
        access.authorise({}, PREDICT)
    with suppress(LogError):
        log.append([])
    served = models.served.artifact
    if served.parity.rows:
        served.probabilities(served.encoder.encode_rows(served.parity.rows[:1]))
