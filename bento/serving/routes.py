"""Which path is answered by whom."""

import asyncio
from collections.abc import Mapping

from deposit.errors import SpoolError
from deposit.monitoring.spool import Spool
from deposit.settings import Settings
from serving import metrics as prometheus
from serving.access import ADMIN, OUTCOMES, PREDICT
from serving.customers import encode
from serving.http import Answer, Request, Route
from serving.metrics import Metrics
from serving.models import Models
from serving.openapi import document
from serving.outcomes import Outcomes
from serving.page import pages
from serving.predict import Predict
from serving.ranking import Ranking
from serving.recorder import Recorder
from serving.scoring import Scorer


def routes(settings: Settings, models: Models, spool: Spool, metrics: Metrics) -> Mapping[str, Route]:
    """All paths; there are none, so 503 for all, until the model is loaded."""
    recorder = Recorder(spool)
    docs = encode(document(settings.serve.max_customers))

    async def show_models(_: Request) -> Answer:
        return Answer(models.listing())

    async def show_metrics(_: Request) -> Answer:
        try:
            metrics.set_spool(await asyncio.to_thread(spool.state))
        except SpoolError:
            metrics.set_spool(None)
        return Answer(metrics.render(), prometheus.CONTENT_TYPE.encode())

    async def show_health(_: Request) -> Answer:
        return Answer(b"\n", b"text/plain")

    async def show_docs(_: Request) -> Answer:
        return Answer(docs)

    return {
        "/predict": Route("POST", PREDICT, Predict(models, Scorer(recorder, metrics), settings.serve)),
        "/rank": Route("POST", PREDICT, Ranking(models, recorder, metrics, settings)),
        "/outcomes": Route("POST", OUTCOMES, Outcomes(recorder, settings.serve)),
        "/models": Route("GET", PREDICT, show_models),
        "/metrics": Route("GET", ADMIN, show_metrics),
        "/docs.json": Route("GET", None, show_docs),
        "/livez": Route("GET", None, show_health),
        "/readyz": Route("GET", None, show_health),
        **{path: Route("GET", None, page) for path, page in pages().items()},
    }
