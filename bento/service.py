"""The BentoML service: one baked-in model behind a plain ASGI application.

BentoML packages, versions and starts the service and answers /livez and /readyz. Its API layer, access log and metrics
are off because they cost more than the model.
"""

import gc
from pathlib import Path

import bentoml

from deposit.log.destination import prediction_log
from deposit.settings import service_settings
from serving.access import Access
from serving.application import Application, routes
from serving.models import LoadedModel, ModelCache
from serving.request_counts import Metrics, TrafficLog

MODEL_TAG = Path(__file__).with_name("model.tag").read_text().strip()
"""Tag of the baked-in model. The packager writes this file; `:latest` is ambiguous if a store has several versions."""

settings = service_settings()
metrics = Metrics()
application = Application(
    Access(settings.serve, replicas=settings.release.replicas), metrics, settings.serve.request_timeout
)


@bentoml.service(
    name="deposit",
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
@bentoml.asgi_app(application, path="/")
class Deposit:
    """Scores customers with the model that is baked into this Bento."""

    model = bentoml.models.BentoModel(MODEL_TAG)

    def __init__(self) -> None:
        models = ModelCache(LoadedModel.open(Path(self.model.path), settings.expiry), settings)
        log = prediction_log(settings)
        application.routes = routes(settings, models, log, metrics)
        self._traffic = TrafficLog(metrics.traffic, log)
        # otherwise a full collection would traverse every object created at startup and block all requests for 100 ms
        gc.collect()
        gc.freeze()

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start_traffic_log(self) -> None:
        """Start the periodic traffic log."""
        self._traffic.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close_traffic_log(self) -> None:
        """Log the remaining traffic counts; all requests have been answered."""
        await self._traffic.close()
