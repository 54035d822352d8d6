"""`POST /predict`: from a request's bytes to checked customers to the scorer's answer."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from deposit.sections import ServeSettings
from serving.adminheaders import event_time_of, is_dry_run
from serving.customers import PredictRequest, decode_request
from serving.http import JSON, Answer, Request, content_type
from serving.models import Models
from serving.problems import RequestError, problems_of, refuse
from serving.scoring import Job, Scorer

_LARGE_BODY = 64 * 2**10
"""Bodies above this are read in a thread, so that the event loop goes on with the small ones."""


class Predict:
    """Answers a list of customers in the order sent, each prediction recorded before it leaves."""

    def __init__(self, models: Models, scorer: Scorer, limits: ServeSettings) -> None:
        self._models = models
        self._scorer = scorer
        self._limits = limits
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-body")

    async def __call__(self, request: Request) -> Answer:
        """The JSON answer. Raises RequestError with every problem found."""
        if content_type(request) != JSON:
            raise refuse(415, "send the body as Content-Type: application/json")
        event_time, dry_run = event_time_of(request), is_dry_run(request)
        body = await request.body(self._limits.max_body_bytes)
        if len(body) <= _LARGE_BODY:
            asked = checked(body, self._limits.max_customers)
        else:
            loop = asyncio.get_running_loop()
            asked = await loop.run_in_executor(self._pool, checked, body, self._limits.max_customers)
        customers: list[Any] = asked.customers
        loaded = self._models.served
        if asked.model is not None and asked.model != loaded.model_id:
            loaded = await self._models.get(asked.model)
        name = request.client.name
        job = Job(loaded, customers, body, request.id.decode(), name, event_time, request.started, not dry_run)
        return Answer(await self._scorer.score(job), model_id=loaded.model_id)


def checked(body: bytes, max_customers: int) -> PredictRequest:
    """The request in a JSON body. Raises RequestError 400 or 422."""
    try:
        asked = decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explained(body, str(error)) from error
    if not 1 <= len(asked.customers) <= max_customers:
        count = len(asked.customers) or "none"
        raise refuse(422, f"must hold from 1 to {max_customers} customers; got {count}", "customers")
    return asked


def _explained(body: bytes, reason: str) -> RequestError:
    """Look again, slowly and with a lenient reader, so that NaN and the like are named by row and field."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return refuse(400, "the body is not JSON")
    return RequestError(422, problems_of(document) or refuse(422, reason).problems)
