"""`POST /predict`: from a request's bytes to checked customers to the scorer's answer."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from deposit.sections import ServeSettings
from serving.bodies import as_utf8, read_leniently
from serving.http import JSON, Answer, Request, charset_of, content_type, event_time_of, is_dry_run
from serving.microbatching import MicroBatcher, ScoringRequest
from serving.models import ModelCache
from serving.problems import RequestError, http_error, problems_of
from serving.request_schemas import PredictRequest, decode_request

_LARGE_BODY = 64 * 2**10
"""Bodies above this are read in a thread, so that the event loop goes on with the small ones."""


class Predict:
    """Answers a list of customers in the order sent, each prediction recorded before it leaves."""

    def __init__(self, models: ModelCache, scorer: MicroBatcher, limits: ServeSettings) -> None:
        self._models = models
        self._scorer = scorer
        self._limits = limits
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-body")

    async def __call__(self, request: Request) -> Answer:
        """The JSON answer. Raises RequestError with every problem found."""
        if content_type(request) != JSON:
            raise http_error(415, "send the body as Content-Type: application/json")
        event_time, dry_run = event_time_of(request), is_dry_run(request)
        charset, most = charset_of(request), self._limits.max_customers
        body = await request.body(self._limits.max_body_bytes)
        if len(body) <= _LARGE_BODY:
            body, asked = read(body, charset, most)
        else:
            body, asked = await asyncio.get_running_loop().run_in_executor(self._pool, read, body, charset, most)
        customers: list[Any] = asked.customers
        loaded = self._models.served
        if asked.model is not None and asked.model != loaded.model_id:
            loaded = await self._models.get(asked.model)
        name = request.client.name
        job = ScoringRequest(
            loaded, customers, body, request.id.decode(), name, event_time, request.started, not dry_run
        )
        return Answer(await self._scorer.score(job), model_id=loaded.model_id)


def read(body: bytes, charset: str | None, max_customers: int) -> tuple[bytes, PredictRequest]:
    """The body in UTF-8, as it is logged, and the request in it. Raises RequestError 400, 415 or 422."""
    text = as_utf8(body, charset)
    return text, checked(text, max_customers)


def checked(body: bytes, max_customers: int) -> PredictRequest:
    """The request in a JSON body in UTF-8. Raises RequestError 400 or 422."""
    try:
        asked = decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explained(body) from error
    if not 1 <= len(asked.customers) <= max_customers:
        count = len(asked.customers) or "none"
        raise http_error(422, f"must hold from 1 to {max_customers} customers; got {count}", "customers")
    return asked


def _explained(body: bytes) -> RequestError:
    """Look again, slowly and with a lenient reader, so that NaN and the like are named by row and field."""
    problems = problems_of(read_leniently(body))
    return RequestError(422, problems) if problems else http_error(400, "the body is not JSON as RFC 8259 describes it")
