"""The service as a function on AWS Lambda behind an HTTP API or a function's URL (events of format 2.0)."""

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
"""Lambda takes 6 MB of answer, in which the body is base64 if it is large."""
_AS_TEXT = 256 * 2**10
"""Larger bodies go as base64, whose size is known; as text, a quote takes two bytes and a letter with an accent six."""
_FORMAT = "2.0"


class HttpApiEvent(HTTPGateway):
    """One event, and the answer to it; the stage's name in its path is nobody's business but the API's."""

    @classmethod
    def infer(cls, event: dict[str, Any], context: Any, config: LambdaConfig) -> bool:
        """Whether this is an event of format 2.0."""
        return event.get("version") == _FORMAT and super().infer(event, context, config)

    def __init__(self, event: dict[str, Any], context: Any, config: LambdaConfig) -> None:
        stage = event["requestContext"].get("stage", "")
        prefix = re.match(f"/{re.escape(stage)}(?=/|$)", event["requestContext"]["http"]["path"])
        super().__init__(event, context, {**config, "api_gateway_base_path": prefix[0] if prefix else "/"})

    def __call__(self, response: Response) -> dict[str, Any]:
        """What Lambda is given."""
        if len(response["body"]) > _AS_TEXT:
            self.config["text_mime_types"] = []
        return super().__call__(response)


class LambdaAdapter:
    """Answers events; what was answered, and what was counted of it, is stored before the function is frozen."""

    def __init__(self, application: Application, traffic: TrafficLog, log: PredictionLog) -> None:
        self._application = application
        self._traffic = traffic
        self._log = log
        self._mangum = Mangum(self._serve, lifespan="off", custom_handlers=[HttpApiEvent])

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The answer to an event."""
        return self._mangum(event, context)

    def close(self) -> None:
        """Give the connection back; Lambda itself never says when a function's time is over."""
        self._log.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)
        await self._traffic.flush()


def front_end(settings: Settings, model: Path) -> LambdaAdapter:
    """The whole service around the model in a folder, warm: what the first request needs is there.

    Raises ConfigError for settings with which what was answered could be lost, or everybody would be answered.
    """
    if settings.log.destination != "database":
        raise ConfigError(
            "DEPOSIT_LOG__DESTINATION must be `database`: a function is frozen after its answer, its disk goes with it"
        )
    if keys_document(settings.serve) is None:
        raise ConfigError(
            "DEPOSIT_SERVE__KEYS_SECRET_ID is not set: the world can reach an HTTP API; to answer everybody, let "
            'the secret say {"open": true}'
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
    """Read keys and catalog, connect to PostgreSQL, call the model; what fails now may work when it is asked for."""
    models.listing()
    with suppress(RequestError):
        access.authorise({}, PREDICT)
    with suppress(LogError):
        log.append([])
    served = models.served.artifact
    if served.parity.rows:
        served.probabilities(served.encoder.encode_rows(served.parity.rows[:1]))
